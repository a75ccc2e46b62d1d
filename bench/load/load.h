/* The load generator of the benchmark: one epoll loop, one thread. bench/README.md says what is measured.
 *
 *   main.c     options, and which mode runs          tunnel.c   a connection through a proxy, up to its tunnel
 *   result.c   what is counted, as one line of JSON  rate.c bulk.c hold.c udp.c   the modes
 *   pattern.c  bytes that can be checked             target.c   what the tunnels lead to
 *   stream.c   a TCP connection, plain, TLS or Shadowsocks    sealing.c   Shadowsocks
 */
#ifndef LOAD_H
#define LOAD_H

#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/types.h>

#define MESSAGE 64             /* bytes of one echo */
#define CHUNK (256 * 1024)     /* bytes of one read or write of bulk data */
#define EVENTS 256             /* events taken from epoll at once */
#define SECOND 1000000000ULL   /* times are nanoseconds */

/* result.c */

enum failure { REFUSED, BROKEN, CORRUPT, STALLED, FAILURES };

struct result {
    uint64_t operations, bytes, lost, late;
    uint64_t failures[FAILURES];
    uint64_t latencies[64 * 32]; /* see result.c */
    uint64_t opened;             /* tunnels that were held */
    double seconds, opening_seconds;
    char first_failure[200];
};

uint64_t now(void);
void took(struct result *, uint64_t nanoseconds);
void failed(struct result *, enum failure, const char *format, ...) __attribute__((format(printf, 3, 4)));
uint64_t failures(const struct result *);
void print_result(const struct result *);

/* pattern.c */

void make_pattern(void);
const unsigned char *pattern_at(uint64_t position); /* at least CHUNK bytes */
void make_message(unsigned char *message, size_t length, uint64_t number);
bool is_message(const unsigned char *message, size_t length, uint64_t number);

/* stream.c */

struct stream {
    int fd;
    SSL *tls;                /* NULL: none */
    struct sealing *sealing; /* NULL: none */
};

enum { AGAIN = -1, ENDED = -2 }; /* instead of a number of bytes; ENDED includes resets */

bool stream_connect(struct stream *, SSL_CTX *, const struct sockaddr_in *to, uint64_t number);
ssize_t stream_encrypt(struct stream *); /* 1: done */
ssize_t stream_read(struct stream *, void *, size_t);
ssize_t stream_write(struct stream *, const void *, size_t);
void stream_close(struct stream *);
struct in_addr source_address(uint64_t number);

/* sealing.c */

void make_master_key(const char *password, unsigned char *key);
struct sealing *sealing_new(const unsigned char *master, const struct sockaddr_in *target);
ssize_t sealing_read(struct sealing *, int fd, unsigned char *, size_t);
ssize_t sealing_write(struct sealing *, int fd, const void *, size_t); /* all of it, or ENDED */
void sealing_free(struct sealing *);

/* tunnel.c */

enum way { DIRECT, SOCKS5, HTTP, SHADOWSOCKS };

struct load {
    enum way way;
    struct sockaddr_in proxy, target;
    unsigned targets; /* the target listens on so many consecutive addresses */
    const char *user, *password;
    char authorization[800]; /* the header field of HTTP, made from the two */
    unsigned char master[32]; /* the key of Shadowsocks */
    SSL_CTX *tls;            /* NULL: plain */
    unsigned clients, in_flight, size;
    double seconds;
    int epoll;
    uint64_t numbers; /* given to tunnels and messages, so that no two are alike */
    struct result result;
};

struct tunnel {
    struct stream stream;
    enum step { CLOSED, CONNECTING, ENCRYPTING, GREETING, AUTHENTICATING, REQUESTING, OPEN } step;
    bool associate; /* for datagrams, instead of a connection */
    bool waiting;   /* for an echo, or (bulk) more may be read at once */
    uint64_t number, began, asked, received;
    struct sockaddr_in target;
    unsigned char buffer[600]; /* the proxy's answer, or the echo */
    size_t filled;
};

bool tunnel_open(struct load *, struct tunnel *);
enum step tunnel_advance(struct load *, struct tunnel *, uint32_t events); /* CLOSED: it failed */
void tunnel_close(struct tunnel *);
void tunnel_failed(struct load *, struct tunnel *, enum failure, const char *why); /* counts it, and closes */
bool tunnel_ask(struct load *, struct tunnel *);                               /* send a message to be echoed */
bool tunnel_answered(struct load *, struct tunnel *);                          /* the whole echo has arrived */
bool hopeless(const struct load *);

/* the modes; each returns an exit status */
int rate(struct load *);
int bulk(struct load *);
int hold(struct load *);
int udp(struct load *);
int target(unsigned addresses);

#endif
