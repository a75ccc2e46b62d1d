/* `udp`: datagrams echoed through SOCKS5 UDP ASSOCIATE (RFC 1928 §7), a window of them in flight on each association.
 * One that has not come back after a quarter of a second is lost; if it comes after all, it is late. */
#define _GNU_SOURCE
#include "load.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define WINDOW_LIMIT 64
#define LARGEST 1500
#define PATIENCE (SECOND / 4)

struct association {
    struct tunnel control; /* first, so that epoll's pointer to it is one to this */
    int fd;
    struct {
        uint64_t number, sent; /* sent: 0 when it has to be sent (again) */
    } window[WINDOW_LIMIT];
};

/* Datagrams say where they stand in the window in the lowest bits of their number. */
static uint64_t next_number(struct load *load, unsigned place) {
    return ++load->numbers * WINDOW_LIMIT + place;
}

static void send_due(struct load *load, struct association *association) {
    static unsigned char datagrams[WINDOW_LIMIT][LARGEST];
    struct mmsghdr messages[WINDOW_LIMIT] = {0};
    struct iovec vectors[WINDOW_LIMIT];
    unsigned places[WINDOW_LIMIT], count = 0, head = load->way == DIRECT ? 0 : 10;
    uint64_t time = now();
    for (unsigned place = 0; place < load->in_flight; place++) {
        if (association->window[place].sent)
            continue;
        association->window[place].number = next_number(load, place);
        unsigned char *datagram = datagrams[count];
        if (head) {
            memcpy(datagram, "\0\0\0\1", 4);
            memcpy(datagram + 4, &load->target.sin_addr, 4);
            memcpy(datagram + 8, &load->target.sin_port, 2);
        }
        make_message(datagram + head, load->size, association->window[place].number);
        vectors[count] = (struct iovec){datagram, head + load->size};
        messages[count].msg_hdr = (struct msghdr){.msg_iov = &vectors[count], .msg_iovlen = 1};
        places[count++] = place;
    }
    int sent = count ? sendmmsg(association->fd, messages, count, MSG_DONTWAIT) : 0;
    for (int i = 0; i < sent; i++)
        association->window[places[i]].sent = time;
}

/* How long the header of a relayed datagram is; 0: it is not one. */
static size_t header_length(const unsigned char *datagram, size_t length) {
    if (length < 10 || datagram[2] != 0)
        return 0;
    return datagram[3] == 1 ? 10 : datagram[3] == 4 ? 22 : datagram[3] == 3 ? 7u + datagram[4] : 0;
}

static void receive(struct load *load, struct association *association, const unsigned char *datagram, size_t length) {
    size_t head = load->way == DIRECT ? 0 : header_length(datagram, length);
    uint64_t number, time = now();
    if ((load->way != DIRECT && head == 0) || length != head + load->size) {
        failed(&load->result, CORRUPT, "a datagram of %zu bytes came back, with a head of %zu", length, head);
        return;
    }
    memcpy(&number, datagram + head, sizeof number);
    if (!is_message(datagram + head, load->size, number)) {
        failed(&load->result, CORRUPT, "a datagram came back changed");
        return;
    }
    unsigned place = number % WINDOW_LIMIT;
    if (association->window[place].number != number || association->window[place].sent == 0) {
        load->result.late++;
        return;
    }
    took(&load->result, time - association->window[place].sent);
    load->result.operations++;
    load->result.bytes += load->size;
    association->window[place].sent = 0;
}

static void receive_all(struct load *load, struct association *association) {
    static unsigned char datagrams[WINDOW_LIMIT][LARGEST];
    struct mmsghdr messages[WINDOW_LIMIT] = {0};
    struct iovec vectors[WINDOW_LIMIT];
    for (unsigned i = 0; i < WINDOW_LIMIT; i++) {
        vectors[i] = (struct iovec){datagrams[i], LARGEST};
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &vectors[i], .msg_iovlen = 1};
    }
    int count = recvmmsg(association->fd, messages, WINDOW_LIMIT, MSG_DONTWAIT, NULL);
    if (count < 0 && errno != EAGAIN)
        failed(&load->result, BROKEN, "the relay: %s", strerror(errno));
    for (int i = 0; i < count; i++)
        receive(load, association, datagrams[i], messages[i].msg_len);
    send_due(load, association);
}

/* The association is granted: open a socket to the relay that the proxy named, or to the target itself. */
static void relay(struct load *load, struct association *association) {
    struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr = source_address(association->control.number)};
    struct sockaddr_in to = load->target;
    int room = 1 << 20;
    if (load->way != DIRECT) {
        to.sin_addr = load->proxy.sin_addr; /* which is what a relay on 0.0.0.0 or :: means */
        const unsigned char *reply = association->control.buffer;
        if (reply[3] == 1 && memcmp(reply + 4, "\0\0\0\0", 4) != 0)
            memcpy(&to.sin_addr, reply + 4, 4);
        memcpy(&to.sin_port, reply + association->control.filled - 2, 2);
    }
    association->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(association->fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    if (bind(association->fd, (struct sockaddr *)&from, sizeof from) < 0 ||
        connect(association->fd, (struct sockaddr *)&to, sizeof to) < 0) {
        tunnel_failed(load, &association->control, REFUSED, "the relay's address cannot be reached");
        return;
    }
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = association};
    epoll_ctl(load->epoll, EPOLL_CTL_ADD, association->fd, &event);
    send_due(load, association);
}

static void give_up_lost(struct load *load, struct association *association) {
    uint64_t time = now();
    for (unsigned place = 0; place < load->in_flight; place++)
        if (association->window[place].sent && time - association->window[place].sent > PATIENCE) {
            load->result.lost++;
            association->window[place].sent = 0;
        }
    send_due(load, association);
}

static void handle(struct load *load, struct association *association, uint32_t events) {
    struct tunnel *control = &association->control;
    if (association->fd >= 0) {
        if (control->step == OPEN || load->way == DIRECT)
            receive_all(load, association);
    } else if (control->step != CLOSED && tunnel_advance(load, control, events) == OPEN)
        relay(load, association);
}

int udp(struct load *load) {
    struct association *associations = calloc(load->clients, sizeof *associations);
    struct epoll_event events[EVENTS];
    uint64_t began = now(), end = began + (uint64_t)(load->seconds * 1e9), swept = began;

    for (unsigned i = 0; i < load->clients; i++) {
        associations[i].fd = -1;
        associations[i].control.associate = true;
        if (load->way != DIRECT)
            tunnel_open(load, &associations[i].control);
        else
            relay(load, &associations[i]);
    }
    while (now() < end && failures(&load->result) < load->clients) {
        int count = epoll_wait(load->epoll, events, EVENTS, 20);
        for (int i = 0; i < count; i++)
            handle(load, events[i].data.ptr, events[i].events);
        if (now() - swept < SECOND / 50)
            continue;
        swept = now();
        for (unsigned i = 0; i < load->clients; i++)
            if (associations[i].fd >= 0)
                give_up_lost(load, &associations[i]);
    }
    load->result.seconds = (double)(now() - began) / 1e9;
    for (unsigned i = 0; i < load->clients; i++) {
        if (associations[i].control.step != CLOSED && associations[i].fd < 0) /* still opening */
            failed(&load->result, STALLED, "an association was never granted");
        tunnel_close(&associations[i].control);
        if (associations[i].fd >= 0)
            close(associations[i].fd);
    }
    free(associations);
    print_result(&load->result);
    return 0;
}
