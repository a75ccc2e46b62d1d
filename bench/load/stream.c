/* A non-blocking TCP connection, plain, TLS or Shadowsocks. */
#include "load.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Clients come from many addresses of 127.0.0.0/8: one address has only 28,000 ports, and TIME_WAIT keeps them. */
struct in_addr source_address(uint64_t number) {
    return (struct in_addr){.s_addr = htonl(0x7f000002 + (uint32_t)(number % 200))};
}

bool stream_connect(struct stream *stream, SSL_CTX *context, const struct sockaddr_in *to, uint64_t number) {
    int on = 1;
    struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr = source_address(number)};
    stream->tls = NULL;
    stream->sealing = NULL;
    stream->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (stream->fd < 0)
        return false;
    setsockopt(stream->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    setsockopt(stream->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (bind(stream->fd, (struct sockaddr *)&from, sizeof from) < 0 ||
        (connect(stream->fd, (const struct sockaddr *)to, sizeof *to) < 0 && errno != EINPROGRESS)) {
        int error = errno;
        close(stream->fd);
        errno = error;
        return false;
    }
    if (context) {
        stream->tls = SSL_new(context);
        SSL_set_fd(stream->tls, stream->fd);
        SSL_set_tlsext_host_name(stream->tls, "localhost");
    }
    return true;
}

static ssize_t outcome(struct stream *stream, int done) {
    if (done > 0)
        return done;
    int error = SSL_get_error(stream->tls, done);
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? AGAIN : ENDED;
}

ssize_t stream_encrypt(struct stream *stream) {
    ERR_clear_error();
    return outcome(stream, SSL_connect(stream->tls));
}

ssize_t stream_read(struct stream *stream, void *buffer, size_t size) {
    if (stream->tls) {
        ERR_clear_error();
        return outcome(stream, SSL_read(stream->tls, buffer, (int)size));
    }
    if (stream->sealing)
        return sealing_read(stream->sealing, stream->fd, buffer, size);
    ssize_t done = recv(stream->fd, buffer, size, 0);
    return done > 0 ? done : done < 0 && errno == EAGAIN ? AGAIN : ENDED;
}

ssize_t stream_write(struct stream *stream, const void *buffer, size_t size) {
    if (stream->tls) {
        ERR_clear_error();
        return outcome(stream, SSL_write(stream->tls, buffer, (int)size));
    }
    if (stream->sealing)
        return sealing_write(stream->sealing, stream->fd, buffer, size);
    ssize_t done = send(stream->fd, buffer, size, MSG_NOSIGNAL);
    return done > 0 ? done : done < 0 && errno == EAGAIN ? AGAIN : ENDED;
}

void stream_close(struct stream *stream) {
    if (stream->tls) {
        SSL_set_quiet_shutdown(stream->tls, 0);
        SSL_shutdown(stream->tls); /* says goodbye, and waits for nobody */
        SSL_free(stream->tls);
        stream->tls = NULL;
    }
    if (stream->sealing)
        sealing_free(stream->sealing);
    stream->sealing = NULL;
    close(stream->fd);
    stream->fd = -1;
}
