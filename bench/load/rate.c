/* `rate`: every client connects, opens a tunnel, has one message echoed, closes, and begins again. */
#include "load.h"

#include <stdlib.h>

static void step_on(struct load *load, struct tunnel *tunnel, uint32_t events) {
    if (tunnel->step != OPEN) {
        if (tunnel_advance(load, tunnel, events) == OPEN)
            tunnel_ask(load, tunnel);
        return;
    }
    if (tunnel->waiting && (tunnel->stream.tls || events & ~EPOLLOUT) && tunnel_answered(load, tunnel)) {
        took(&load->result, now() - tunnel->began);
        load->result.operations++;
        tunnel_close(tunnel);
    }
}

int rate(struct load *load) {
    struct tunnel *tunnels = calloc(load->clients, sizeof *tunnels);
    struct epoll_event events[EVENTS];
    uint64_t began = now(), end = began + (uint64_t)(load->seconds * 1e9);

    for (unsigned i = 0; i < load->clients; i++)
        tunnel_open(load, &tunnels[i]);
    while (now() < end && !hopeless(load)) {
        int count = epoll_wait(load->epoll, events, EVENTS, 20);
        for (int i = 0; i < count; i++) {
            struct tunnel *tunnel = events[i].data.ptr;
            step_on(load, tunnel, events[i].events);
            if (tunnel->step == CLOSED)
                tunnel_open(load, tunnel);
        }
        for (unsigned i = 0; count == 0 && i < load->clients; i++) /* those that could not even begin */
            if (tunnels[i].step == CLOSED)
                tunnel_open(load, &tunnels[i]);
    }
    end = now();
    load->result.seconds = (double)(end - began) / 1e9;
    for (unsigned i = 0; i < load->clients; i++) {
        if (tunnels[i].step != CLOSED && end - tunnels[i].began > SECOND)
            failed(&load->result, STALLED, "a client has waited for more than a second");
        tunnel_close(&tunnels[i]);
    }
    free(tunnels);
    print_result(&load->result);
    return 0;
}
