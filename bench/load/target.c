/* What the tunnels lead to, on several addresses of 127.0.0.0/8: an echo, a source of pattern, and an echo of datagrams.
 * It prints its ports as JSON, and goes on until it is ended. */
#define _GNU_SOURCE
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define FIRST_ADDRESS 0x7f000101 /* 127.0.1.1 */
#define DATAGRAMS 64

enum kind { ECHO_LISTENER, SOURCE_LISTENER, DATAGRAM_ECHO, ECHO, SOURCE_ASKED, SOURCE };

struct end { /* what a descriptor is; they are kept by number */
    enum kind kind;
    uint64_t position; /* of a source, in the pattern */
};

static void watch(int epoll, int fd, uint32_t events) {
    struct epoll_event event = {.events = events, .data.fd = fd};
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

/* Returns the port, in network order. Port 0 takes any. */
static in_port_t open_at(int epoll, struct end *ends, enum kind kind, unsigned address, in_port_t port) {
    int datagrams = kind == DATAGRAM_ECHO, on = 1, room = 4 << 20;
    int fd = socket(AF_INET, (datagrams ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(FIRST_ADDRESS + address), .sin_port = port};
    socklen_t length = sizeof name;
    if (datagrams)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    else
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&name, sizeof name) < 0 || (!datagrams && listen(fd, 4096) < 0)) {
        perror("the target's address cannot be listened on");
        exit(1);
    }
    getsockname(fd, (struct sockaddr *)&name, &length);
    ends[fd].kind = kind;
    watch(epoll, fd, EPOLLIN);
    return name.sin_port;
}

static void accept_all(int epoll, struct end *ends, int listener) {
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        ends[fd] = (struct end){.kind = ends[listener].kind == ECHO_LISTENER ? ECHO : SOURCE_ASKED};
        watch(epoll, fd, EPOLLIN);
    }
}

static void echo(int fd) {
    unsigned char buffer[16 * 1024];
    ssize_t got = recv(fd, buffer, sizeof buffer, 0);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0 || send(fd, buffer, (size_t)got, MSG_NOSIGNAL) != got)
        close(fd);
}

/* A client says with 8 bytes where its stream begins. */
static void begin_source(int epoll, struct end *end, int fd) {
    if (recv(fd, &end->position, sizeof end->position, 0) != sizeof end->position) {
        close(fd);
        return;
    }
    end->kind = SOURCE;
    struct epoll_event event = {.events = EPOLLOUT, .data.fd = fd};
    epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event);
}

static void pour(struct end *end, int fd) {
    ssize_t sent = send(fd, pattern_at(end->position), CHUNK, MSG_NOSIGNAL);
    if (sent > 0)
        end->position += (uint64_t)sent;
    else if (errno != EAGAIN)
        close(fd);
}

static void echo_datagrams(int fd) {
    static unsigned char datagrams[DATAGRAMS][2048];
    struct sockaddr_in names[DATAGRAMS];
    struct mmsghdr messages[DATAGRAMS] = {0};
    struct iovec vectors[DATAGRAMS];
    for (int i = 0; i < DATAGRAMS; i++) {
        vectors[i] = (struct iovec){datagrams[i], sizeof datagrams[i]};
        messages[i].msg_hdr = (struct msghdr){
            .msg_name = &names[i], .msg_namelen = sizeof names[i], .msg_iov = &vectors[i], .msg_iovlen = 1};
    }
    int count = recvmmsg(fd, messages, DATAGRAMS, MSG_DONTWAIT, NULL);
    for (int i = 0; i < count; i++)
        vectors[i].iov_len = messages[i].msg_len;
    if (count > 0)
        sendmmsg(fd, messages, (unsigned)count, MSG_DONTWAIT);
}

static void handle(int epoll, struct end *ends, int fd) {
    switch (ends[fd].kind) {
    case ECHO_LISTENER:
    case SOURCE_LISTENER:
        accept_all(epoll, ends, fd);
        break;
    case DATAGRAM_ECHO:
        echo_datagrams(fd);
        break;
    case ECHO:
        echo(fd);
        break;
    case SOURCE_ASKED:
        begin_source(epoll, &ends[fd], fd);
        break;
    case SOURCE:
        pour(&ends[fd], fd);
        break;
    }
}

int target(unsigned addresses) {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    struct end *ends = calloc(limit.rlim_cur, sizeof *ends);
    struct epoll_event events[EVENTS];
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    in_port_t echo_port = 0, source_port = 0, udp_port;

    for (unsigned i = 0; i < addresses; i++) {
        echo_port = open_at(epoll, ends, ECHO_LISTENER, i, echo_port);
        source_port = open_at(epoll, ends, SOURCE_LISTENER, i, source_port);
    }
    udp_port = open_at(epoll, ends, DATAGRAM_ECHO, 0, 0);
    printf("{\"host\": \"127.0.1.1\", \"addresses\": %u, \"echo\": %d, \"source\": %d, \"udp\": %d}\n", addresses,
           ntohs(echo_port), ntohs(source_port), ntohs(udp_port));
    fflush(stdout);
    for (;;) {
        int count = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < count; i++)
            handle(epoll, ends, events[i].data.fd);
    }
}
