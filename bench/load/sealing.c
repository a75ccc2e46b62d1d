/* Shadowsocks (SIP004) with AES-256-GCM: what is written is sealed, what is read is opened. The destination goes with
 * the first bytes that are written, as phones do it, and no answer is waited for. */
#include "load.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define KEY 32 /* bytes of a key, and of a salt */
#define TAG 16
#define LENGTH (2 + TAG)
#define MOST 0x3fff /* bytes of a chunk */

struct sealing {
    EVP_CIPHER_CTX *up, *down; /* NULL: nothing was sent, or has come, in this direction */
    uint64_t sealed, opened;   /* how many times each was used */
    const unsigned char *master;
    unsigned char address[7];
    int length; /* of the chunk that comes next; -1: not known yet */
    unsigned char *left;
    size_t left_size; /* what came of a chunk that is not whole */
};

static EVP_CIPHER *cipher;

void make_master_key(const char *password, unsigned char *key) {
    cipher = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    EVP_BytesToKey(EVP_aes_256_cbc(), EVP_md5(), NULL, (const unsigned char *)password, (int)strlen(password), 1, key,
                   NULL);
}

struct sealing *sealing_new(const unsigned char *master, const struct sockaddr_in *target) {
    struct sealing *sealing = calloc(1, sizeof *sealing);
    sealing->master = master;
    sealing->length = -1;
    sealing->address[0] = 1;
    memcpy(sealing->address + 1, &target->sin_addr, 4);
    memcpy(sealing->address + 5, &target->sin_port, 2);
    return sealing;
}

void sealing_free(struct sealing *sealing) {
    EVP_CIPHER_CTX_free(sealing->up);
    EVP_CIPHER_CTX_free(sealing->down);
    free(sealing->left);
    free(sealing);
}

static EVP_CIPHER_CTX *session(const unsigned char *master, const unsigned char *salt, int sealing) {
    unsigned char extracted[20], info[20 + 10] = "", expanded[40];
    unsigned size;
    HMAC(EVP_sha1(), salt, KEY, master, KEY, extracted, &size); /* HKDF (RFC 5869) */
    memcpy(info, "ss-subkey\1", 10);
    HMAC(EVP_sha1(), extracted, 20, info, 10, expanded, &size);
    memcpy(info, expanded, 20);
    memcpy(info + 20, "ss-subkey\2", 10);
    HMAC(EVP_sha1(), extracted, 20, info, 30, expanded + 20, &size);
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    EVP_CipherInit_ex2(context, cipher, expanded, NULL, sealing, NULL);
    return context;
}

static void nonce(EVP_CIPHER_CTX *context, uint64_t *count, int sealing) {
    unsigned char bytes[12] = "";
    memcpy(bytes, count, sizeof *count); /* little-endian, as this machine */
    ++*count;
    EVP_CipherInit_ex2(context, NULL, NULL, bytes, sealing, NULL);
}

static size_t seal(struct sealing *sealing, const unsigned char *data, size_t size, unsigned char *out) {
    int done;
    nonce(sealing->up, &sealing->sealed, 1);
    EVP_EncryptUpdate(sealing->up, out, &done, data, (int)size);
    EVP_EncryptFinal_ex(sealing->up, out + done, &done);
    EVP_CIPHER_CTX_ctrl(sealing->up, EVP_CTRL_AEAD_GET_TAG, TAG, out + size);
    return size + TAG;
}

static bool open_into(struct sealing *sealing, unsigned char *data, size_t size, unsigned char *out) {
    int done;
    nonce(sealing->down, &sealing->opened, 0);
    EVP_DecryptUpdate(sealing->down, out, &done, data, (int)size);
    EVP_CIPHER_CTX_ctrl(sealing->down, EVP_CTRL_AEAD_SET_TAG, TAG, data + size);
    return EVP_DecryptFinal_ex(sealing->down, out + done, &done) == 1;
}

/* A few bytes, as all that this program writes through a tunnel. */
ssize_t sealing_write(struct sealing *sealing, int fd, const void *data, size_t size) {
    unsigned char plain[512], out[1024], salt[KEY], length[2];
    size_t head = 0, at = 0;
    if (!sealing->up) {
        RAND_bytes(salt, KEY);
        sealing->up = session(sealing->master, salt, 1);
        memcpy(out, salt, at = KEY);
        memcpy(plain, sealing->address, head = sizeof sealing->address);
    }
    memcpy(plain + head, data, size);
    length[0] = (unsigned char)((head + size) >> 8), length[1] = (unsigned char)(head + size);
    at += seal(sealing, length, 2, out + at);
    at += seal(sealing, plain, head + size, out + at);
    return send(fd, out, at, MSG_NOSIGNAL) == (ssize_t)at ? (ssize_t)size : ENDED;
}

/* Open what is whole; how much that is, and from where on `raw` is left. -1: it is not what was sealed. */
static ssize_t open_all(struct sealing *sealing, unsigned char *raw, size_t size, unsigned char *out, size_t *taken) {
    size_t at = 0, made = 0;
    if (!sealing->down && size >= KEY) {
        sealing->down = session(sealing->master, raw, 0);
        at = KEY;
    }
    while (sealing->down) {
        unsigned char length[2];
        if (sealing->length < 0) {
            if (size - at < LENGTH)
                break;
            if (!open_into(sealing, raw + at, 2, length))
                return -1;
            at += LENGTH;
            sealing->length = length[0] << 8 | length[1];
        }
        if (sealing->length > MOST)
            return -1;
        size_t whole = (size_t)sealing->length + TAG;
        if (size - at < whole)
            break;
        if (!open_into(sealing, raw + at, (size_t)sealing->length, out + made))
            return -1;
        made += (size_t)sealing->length;
        at += whole;
        sealing->length = -1;
    }
    *taken = at;
    return (ssize_t)made;
}

ssize_t sealing_read(struct sealing *sealing, int fd, unsigned char *out, size_t size) {
    static unsigned char raw[CHUNK];
    static unsigned char all[CHUNK];
    for (;;) {
        size_t left = sealing->left_size, taken = 0;
        if (left)
            memcpy(raw, sealing->left, left);
        size_t most = size < 4096 ? 4096 : size - MOST - TAG;
        ssize_t got = recv(fd, raw + left, most, 0);
        if (got <= 0)
            return got < 0 && errno == EAGAIN ? AGAIN : ENDED;
        unsigned char *opened = size < CHUNK ? all : out;
        ssize_t made = open_all(sealing, raw, left + (size_t)got, opened, &taken);
        if (made < 0 || (size_t)made > size)
            return ENDED; /* an echo is never longer than what was asked for */
        sealing->left_size = left + (size_t)got - taken;
        if (sealing->left_size) {
            if (!sealing->left)
                sealing->left = malloc(MOST + TAG + LENGTH + KEY);
            memcpy(sealing->left, raw + taken, sealing->left_size);
        }
        if (opened != out)
            memcpy(out, opened, (size_t)made);
        if (made)
            return made;
    }
}
