/* Options, and which mode runs. */
#include "load.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

static const char USAGE[] =
    "usage: load target [--addresses N]\n"
    "       load rate|bulk|hold|udp --target HOST:PORT [--addresses N] [--via direct|socks5|http|shadowsocks] [--proxy HOST:PORT]\n"
    "            [--user NAME --password WORD] [--tls] [--clients N] [--in-flight N] [--size BYTES] [--seconds S]\n";

static const struct option OPTIONS[] = {
    {"addresses", required_argument, NULL, 'a'}, {"target", required_argument, NULL, 't'},
    {"via", required_argument, NULL, 'v'},       {"proxy", required_argument, NULL, 'x'},
    {"user", required_argument, NULL, 'u'},      {"password", required_argument, NULL, 'p'},
    {"tls", no_argument, NULL, 's'},             {"clients", required_argument, NULL, 'c'},
    {"in-flight", required_argument, NULL, 'f'}, {"size", required_argument, NULL, 'z'},
    {"seconds", required_argument, NULL, 'n'},   {NULL, 0, NULL, 0},
};

static void wrong(const char *what) {
    fprintf(stderr, "load: %s\n%s", what, USAGE);
    exit(2);
}

static struct sockaddr_in address(const char *text) {
    struct sockaddr_in result = {.sin_family = AF_INET};
    char host[INET_ADDRSTRLEN] = "";
    unsigned port = 0;
    if (sscanf(text, "%15[0-9.]:%u", host, &port) != 2 || inet_pton(AF_INET, host, &result.sin_addr) != 1 ||
        ntohl(result.sin_addr.s_addr) >> 24 != 127)
        wrong("addresses are 127.x.x.x:PORT, for this program loads nothing but loopback");
    result.sin_port = htons((in_port_t)port);
    return result;
}

static unsigned number(const char *text, unsigned least, unsigned most) {
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    if (*end || value < least || value > most)
        wrong("a number is out of its range");
    return (unsigned)value;
}

static enum way way(const char *text) {
    if (strcmp(text, "socks5") == 0)
        return SOCKS5;
    if (strcmp(text, "http") == 0)
        return HTTP;
    if (strcmp(text, "shadowsocks") == 0)
        return SHADOWSOCKS;
    if (strcmp(text, "direct") != 0)
        wrong("--via is direct, socks5, http or shadowsocks");
    return DIRECT;
}

static void parse(struct load *load, int count, char **words) {
    int option;
    while ((option = getopt_long(count, words, "", OPTIONS, NULL)) != -1) {
        switch (option) {
        case 'a': load->targets = number(optarg, 1, 64); break;
        case 't': load->target = address(optarg); break;
        case 'v': load->way = way(optarg); break;
        case 'x': load->proxy = address(optarg); break;
        case 'u': load->user = optarg; break;
        case 'p': load->password = optarg; break;
        case 's': load->tls = SSL_CTX_new(TLS_client_method()); break;
        case 'c': load->clients = number(optarg, 1, 100000); break;
        case 'f': load->in_flight = number(optarg, 1, 100000); break;
        case 'z': load->size = number(optarg, 16, 1400); break;
        case 'n': load->seconds = strtod(optarg, NULL); break;
        default: wrong("unknown option");
        }
    }
    if (load->user && (!load->password || strlen(load->user) > 255 || strlen(load->password) > 255))
        wrong("--user comes with --password, and each has at most 255 bytes");
    if (!(load->seconds > 0 && load->seconds <= 600))
        wrong("--seconds is at most 600");
}

static void prepare(struct load *load) {
    if (load->way == SHADOWSOCKS) {
        if (!load->password)
            wrong("--via shadowsocks needs --password");
        make_master_key(load->password, load->master);
    }
    if (load->user) {
        char plain[512];
        unsigned char encoded[700];
        int length = snprintf(plain, sizeof plain, "%s:%s", load->user, load->password);
        EVP_EncodeBlock(encoded, (unsigned char *)plain, length);
        snprintf(load->authorization, sizeof load->authorization, "Proxy-Authorization: Basic %s\r\n", encoded);
    }
    if (load->tls) { /* the certificate is our own: what is measured is the proxy, not trust */
        SSL_CTX_set_verify(load->tls, SSL_VERIFY_NONE, NULL);
        /* One choice of each, so that every proxy does the same work. */
        SSL_CTX_set_min_proto_version(load->tls, TLS1_3_VERSION);
        SSL_CTX_set_ciphersuites(load->tls, "TLS_AES_128_GCM_SHA256");
        SSL_CTX_set1_groups_list(load->tls, "X25519");
        SSL_CTX_set1_sigalgs_list(load->tls, "ECDSA+SHA256");
        SSL_CTX_set_mode(load->tls, SSL_MODE_RELEASE_BUFFERS);
        SSL_CTX_set_session_cache_mode(load->tls, SSL_SESS_CACHE_OFF); /* every handshake is a full one */
        SSL_CTX_set_read_ahead(load->tls, 1);
        SSL_CTX_set_default_read_buffer_len(load->tls, 128 * 1024);
    }
    load->epoll = epoll_create1(EPOLL_CLOEXEC);
}

int main(int count, char **words) {
    static struct load load = {.targets = 1, .clients = 64, .in_flight = 64, .size = 512, .seconds = 3};
    const struct {
        const char *name;
        int (*run)(struct load *);
    } modes[] = {{"rate", rate}, {"bulk", bulk}, {"hold", hold}, {"udp", udp}};

    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_PDEATHSIG, SIGTERM); /* never outlives the harness */
    make_pattern();
    if (count < 2)
        wrong("which mode?");
    parse(&load, count - 1, words + 1);
    if (strcmp(words[1], "target") == 0)
        return target(load.targets);
    if (!load.target.sin_port || (load.way != DIRECT && !load.proxy.sin_port))
        wrong("--target is needed, and --proxy unless --via is direct");
    if (strcmp(words[1], "udp") == 0 && load.in_flight > 64)
        wrong("--in-flight is at most 64 for udp");
    prepare(&load);
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        if (strcmp(words[1], modes[i].name) == 0)
            return modes[i].run(&load);
    wrong("unknown mode");
}
