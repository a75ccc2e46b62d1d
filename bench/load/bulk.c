/* `bulk`: a few tunnels download as fast as they can, and every byte is checked. */
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void opened(struct load *load, struct tunnel *tunnel) {
    tunnel->received = tunnel->number * 7919; /* where in the pattern this tunnel's stream begins */
    if (stream_write(&tunnel->stream, &tunnel->received, sizeof tunnel->received) != sizeof tunnel->received)
        tunnel_failed(load, tunnel, BROKEN, "a tunnel could not be written to");
}

static void download(struct load *load, struct tunnel *tunnel) {
    static unsigned char buffer[CHUNK];
    ssize_t got = stream_read(&tunnel->stream, buffer, sizeof buffer);
    if (got == AGAIN)
        tunnel->waiting = false;
    else if (got == ENDED)
        tunnel_failed(load, tunnel, BROKEN, "a download ended early");
    else if (memcmp(buffer, pattern_at(tunnel->received), (size_t)got) != 0)
        tunnel_failed(load, tunnel, CORRUPT, "a download was not what was sent");
    else {
        tunnel->received += (uint64_t)got;
        load->result.bytes += (uint64_t)got;
    }
}

int bulk(struct load *load) {
    struct tunnel *tunnels = calloc(load->clients, sizeof *tunnels);
    struct epoll_event events[EVENTS];
    uint64_t began = now(), end = began + (uint64_t)(load->seconds * 1e9);
    bool more = false;

    for (unsigned i = 0; i < load->clients; i++)
        tunnel_open(load, &tunnels[i]);
    while (now() < end && failures(&load->result) < load->clients) {
        int count = epoll_wait(load->epoll, events, EVENTS, more ? 0 : 20);
        for (int i = 0; i < count; i++) {
            struct tunnel *tunnel = events[i].data.ptr;
            if (tunnel->step != OPEN && tunnel_advance(load, tunnel, events[i].events) == OPEN)
                opened(load, tunnel);
            tunnel->waiting = tunnel->step == OPEN;
        }
        more = false;
        for (unsigned i = 0; i < load->clients; i++) {
            if (tunnels[i].waiting)
                download(load, &tunnels[i]);
            more |= tunnels[i].waiting;
        }
    }
    load->result.seconds = (double)(now() - began) / 1e9;
    for (unsigned i = 0; i < load->clients; i++) {
        if (tunnels[i].step != CLOSED && tunnels[i].received == 0)
            failed(&load->result, STALLED, "a tunnel was never open");
        load->result.operations += tunnels[i].step == OPEN;
        tunnel_close(&tunnels[i]);
    }
    free(tunnels);
    print_result(&load->result);
    return 0;
}
