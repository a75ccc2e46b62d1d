/* `hold`: many tunnels stay open, and messages are echoed over them in turn, some in flight. The result is printed
 * while all are still open; they are closed when standard input ends, so that the proxy's memory can be read first. */
#include "load.h"

#include <stdlib.h>
#include <unistd.h>

#define OPENING_AT_ONCE 64
#define OPENING_TIME (120 * SECOND)

static void open_all(struct load *load, struct tunnel *tunnels) {
    struct epoll_event events[EVENTS];
    unsigned begun = 0, done = 0;
    uint64_t began = now(), end = began + OPENING_TIME;
    while (done < load->clients && now() < end && !hopeless(load)) {
        while (begun < load->clients && begun - done < OPENING_AT_ONCE)
            done += !tunnel_open(load, &tunnels[begun++]);
        int count = epoll_wait(load->epoll, events, EVENTS, 20);
        for (int i = 0; i < count; i++) {
            struct tunnel *tunnel = events[i].data.ptr;
            if (tunnel->step == OPEN) {
                if (events[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
                    load->result.opened--, tunnel_failed(load, tunnel, BROKEN, "a tunnel ended while it was held");
                continue;
            }
            enum step step = tunnel_advance(load, tunnel, events[i].events);
            load->result.opened += step == OPEN;
            done += step == OPEN || step == CLOSED;
        }
    }
    for (unsigned i = 0; i < load->clients; i++)
        if (tunnels[i].step != CLOSED && tunnels[i].step != OPEN)
            tunnel_failed(load, &tunnels[i], STALLED, "a tunnel was not opened in two minutes");
    load->result.opening_seconds = (double)(now() - began) / 1e9;
}

/* Ask on the next tunnel in turn that is free. */
static bool ask_next(struct load *load, struct tunnel *tunnels, unsigned *turn) {
    for (unsigned tries = 0; tries < load->clients; tries++) {
        struct tunnel *tunnel = &tunnels[(*turn)++ % load->clients];
        if (tunnel->step == OPEN && !tunnel->waiting && tunnel_ask(load, tunnel))
            return true;
    }
    return false;
}

static void echo(struct load *load, struct tunnel *tunnels) {
    struct epoll_event events[EVENTS];
    unsigned turn = 0, in_flight = 0;
    uint64_t began = now(), end = began + (uint64_t)(load->seconds * 1e9);
    while (now() < end && !hopeless(load)) {
        while (in_flight < load->in_flight && ask_next(load, tunnels, &turn))
            in_flight++;
        int count = epoll_wait(load->epoll, events, EVENTS, 20);
        for (int i = 0; i < count; i++) {
            struct tunnel *tunnel = events[i].data.ptr;
            if (!tunnel->waiting)
                continue;
            if (tunnel_answered(load, tunnel)) {
                took(&load->result, now() - tunnel->asked);
                load->result.operations++;
            }
            in_flight -= !tunnel->waiting;
        }
    }
    end = now();
    load->result.seconds = (double)(end - began) / 1e9;
    for (unsigned i = 0; i < load->clients; i++)
        if (tunnels[i].waiting && end - tunnels[i].asked > SECOND)
            failed(&load->result, STALLED, "an echo has taken more than a second");
}

int hold(struct load *load) {
    struct tunnel *tunnels = calloc(load->clients, sizeof *tunnels);
    char byte;
    open_all(load, tunnels);
    echo(load, tunnels);
    print_result(&load->result);
    while (read(STDIN_FILENO, &byte, 1) > 0)
        ;
    for (unsigned i = 0; i < load->clients; i++)
        tunnel_close(&tunnels[i]);
    free(tunnels);
    return 0;
}
