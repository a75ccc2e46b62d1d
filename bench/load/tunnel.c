/* A connection through a proxy: SOCKS5 (RFC 1928, RFC 1929), HTTP CONNECT (RFC 9110), Shadowsocks, or no proxy at all. The target
 * never speaks first, so all that is read before the tunnel is open is the proxy's. */
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

bool tunnel_open(struct load *load, struct tunnel *tunnel) {
    tunnel->number = ++load->numbers;
    tunnel->began = now();
    tunnel->filled = 0;
    tunnel->received = 0;
    tunnel->waiting = false;
    tunnel->target = load->target;
    tunnel->target.sin_addr.s_addr = htonl(ntohl(load->target.sin_addr.s_addr) + (uint32_t)(tunnel->number % load->targets));
    const struct sockaddr_in *to = load->way == DIRECT ? &tunnel->target : &load->proxy;
    if (!stream_connect(&tunnel->stream, load->way == DIRECT ? NULL : load->tls, to, tunnel->number)) {
        failed(&load->result, REFUSED, "connect: %s", strerror(errno));
        tunnel->step = CLOSED;
        return false;
    }
    tunnel->step = CONNECTING;
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = tunnel};
    epoll_ctl(load->epoll, EPOLL_CTL_ADD, tunnel->stream.fd, &event);
    return true;
}

void tunnel_close(struct tunnel *tunnel) {
    if (tunnel->step != CLOSED)
        stream_close(&tunnel->stream);
    tunnel->step = CLOSED;
    tunnel->waiting = false;
}

void tunnel_failed(struct load *load, struct tunnel *tunnel, enum failure failure, const char *why) {
    failed(&load->result, failure, "%s", why);
    tunnel_close(tunnel);
}

static size_t greeting(struct load *load, unsigned char *out) {
    memcpy(out, load->user ? "\5\1\2" : "\5\1\0", 3);
    return 3;
}

static size_t credentials(struct load *load, unsigned char *out) {
    return (size_t)sprintf((char *)out, "\1%c%s%c%s", (int)strlen(load->user), load->user, (int)strlen(load->password),
                           load->password);
}

static size_t socks_request(struct tunnel *tunnel, unsigned char *out) {
    memset(out, 0, 10);
    out[0] = 5, out[1] = tunnel->associate ? 3 : 1, out[3] = 1;
    if (!tunnel->associate) {
        memcpy(out + 4, &tunnel->target.sin_addr, 4);
        memcpy(out + 8, &tunnel->target.sin_port, 2);
    }
    return 10;
}

static size_t http_request(struct load *load, struct tunnel *tunnel, unsigned char *out, size_t size) {
    char host[INET_ADDRSTRLEN];
    inet_ntop(AF_INET, &tunnel->target.sin_addr, host, sizeof host);
    int port = ntohs(tunnel->target.sin_port);
    return (size_t)snprintf((char *)out, size, "CONNECT %s:%d HTTP/1.1\r\nHost: %s:%d\r\n%s\r\n", host, port, host,
                            port, load->authorization);
}

/* Say what belongs to the step that begins. */
static enum step say(struct load *load, struct tunnel *tunnel, enum step step) {
    unsigned char out[1200];
    size_t length = step == GREETING         ? greeting(load, out)
                    : step == AUTHENTICATING ? credentials(load, out)
                    : load->way == SOCKS5    ? socks_request(tunnel, out)
                                             : http_request(load, tunnel, out, sizeof out);
    ssize_t sent = stream_write(&tunnel->stream, out, length);
    if (sent == AGAIN && tunnel->step <= ENCRYPTING)
        return tunnel->step; /* not connected yet */
    if (sent != (ssize_t)length) {
        tunnel_failed(load, tunnel, BROKEN, "the proxy hung up while it was spoken to");
        return CLOSED;
    }
    tunnel->filled = 0;
    return tunnel->step = step;
}

/* How long a SOCKS5 reply is, from its first bytes; 0: not known yet. */
static size_t socks_reply_length(const struct tunnel *tunnel) {
    const unsigned char *reply = tunnel->buffer;
    if (tunnel->filled >= 2 && reply[1] != 0)
        return tunnel->filled; /* refused: whatever came */
    if (tunnel->filled < 5)
        return 0;
    return reply[3] == 1 ? 10 : reply[3] == 4 ? 22 : reply[3] == 3 ? 7u + reply[4] : 1;
}

static enum step check_http(struct load *load, struct tunnel *tunnel) {
    tunnel->buffer[tunnel->filled] = 0;
    char *reply = (char *)tunnel->buffer, *end = strstr(reply, "\r\n\r\n");
    if (!end && tunnel->filled + 1 < sizeof tunnel->buffer)
        return REQUESTING;
    if (strncmp(reply, "HTTP/1.", 7) == 0 && strncmp(reply + 8, " 200", 4) == 0 && end &&
        end + 4 == reply + tunnel->filled)
        return tunnel->step = OPEN;
    failed(&load->result, REFUSED, "the proxy answered %.60s", reply);
    tunnel_close(tunnel);
    return CLOSED;
}

/* Look at what the proxy has answered so far. */
static enum step check(struct load *load, struct tunnel *tunnel) {
    const unsigned char *reply = tunnel->buffer;
    if (load->way == HTTP)
        return check_http(load, tunnel);
    size_t expected = tunnel->step == REQUESTING ? socks_reply_length(tunnel) : 2;
    if (expected == 0 || tunnel->filled < expected)
        return tunnel->step;
    bool granted = tunnel->step == GREETING ? reply[1] == (load->user ? 2 : 0) : reply[1] == 0;
    if (!granted || reply[0] != (tunnel->step == AUTHENTICATING ? 1 : 5) || tunnel->filled != expected) {
        const char *what = tunnel->step == GREETING ? "method" : tunnel->step == AUTHENTICATING ? "status" : "reply";
        failed(&load->result, REFUSED, "the proxy answered with %s code %d", what, reply[1]);
        tunnel_close(tunnel);
        return CLOSED;
    }
    if (tunnel->step == GREETING && load->user)
        return say(load, tunnel, AUTHENTICATING);
    if (tunnel->step != REQUESTING)
        return say(load, tunnel, REQUESTING);
    return tunnel->step = OPEN;
}

static enum step begin(struct load *load, struct tunnel *tunnel) {
    if (tunnel->stream.tls && tunnel->step == CONNECTING)
        tunnel->step = ENCRYPTING;
    if (tunnel->step == ENCRYPTING) {
        ssize_t done = stream_encrypt(&tunnel->stream);
        if (done == AGAIN)
            return ENCRYPTING;
        if (done == ENDED) {
            tunnel_failed(load, tunnel, REFUSED, "the TLS handshake failed");
            return CLOSED;
        }
    }
    if (load->way == SHADOWSOCKS)
        tunnel->stream.sealing = sealing_new(load->master, &tunnel->target);
    if (load->way == DIRECT || load->way == SHADOWSOCKS)
        return tunnel->step = OPEN;
    return say(load, tunnel, load->way == SOCKS5 ? GREETING : REQUESTING);
}

enum step tunnel_advance(struct load *load, struct tunnel *tunnel, uint32_t events) {
    if (tunnel->step <= ENCRYPTING) {
        if (events & EPOLLERR) {
            tunnel_failed(load, tunnel, REFUSED, "the connection was refused");
            return CLOSED;
        }
        if (begin(load, tunnel) == OPEN || (!tunnel->stream.tls && !(events & EPOLLIN)))
            return tunnel->step;
    }
    while (tunnel->step > ENCRYPTING && tunnel->step < OPEN) {
        ssize_t got = stream_read(&tunnel->stream, tunnel->buffer + tunnel->filled,
                                  sizeof tunnel->buffer - 1 - tunnel->filled);
        if (got == AGAIN)
            break;
        if (got == ENDED) {
            tunnel_failed(load, tunnel, REFUSED, "the proxy hung up before the tunnel was open");
            break;
        }
        tunnel->filled += (size_t)got;
        check(load, tunnel);
    }
    return tunnel->step;
}

bool tunnel_ask(struct load *load, struct tunnel *tunnel) {
    unsigned char message[MESSAGE];
    tunnel->number = ++load->numbers;
    tunnel->filled = 0;
    tunnel->waiting = true;
    tunnel->asked = now();
    make_message(message, MESSAGE, tunnel->number);
    if (stream_write(&tunnel->stream, message, MESSAGE) == MESSAGE)
        return true;
    tunnel_failed(load, tunnel, BROKEN, "a tunnel could not be written to");
    return false;
}

bool tunnel_answered(struct load *load, struct tunnel *tunnel) {
    while (tunnel->filled < MESSAGE) {
        ssize_t got = stream_read(&tunnel->stream, tunnel->buffer + tunnel->filled, MESSAGE - tunnel->filled);
        if (got == AGAIN)
            return false;
        if (got == ENDED) {
            tunnel_failed(load, tunnel, BROKEN, "a tunnel ended before its echo");
            return false;
        }
        tunnel->filled += (size_t)got;
    }
    tunnel->waiting = false;
    if (is_message(tunnel->buffer, MESSAGE, tunnel->number))
        return true;
    tunnel_failed(load, tunnel, CORRUPT, "an echo was not what was sent");
    return false;
}

/* Whether it makes no sense to go on. */
bool hopeless(const struct load *load) {
    return failures(&load->result) > 100 && failures(&load->result) > load->result.operations + load->result.opened;
}
