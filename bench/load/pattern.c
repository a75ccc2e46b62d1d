/* Bytes that can be checked: a stream that repeats after a prime number of bytes, so that a lost or doubled buffer of
 * any usual size shows, and that starts elsewhere in every tunnel, so that crossed tunnels show. */
#include "load.h"

#include <string.h>

#define PERIOD 65537

static unsigned char pattern[PERIOD + CHUNK];

void make_pattern(void) {
    uint32_t state = 2463534242; /* xorshift32, Marsaglia 2003 */
    for (size_t i = 0; i < sizeof pattern; i++) {
        state ^= state << 13, state ^= state >> 17, state ^= state << 5;
        pattern[i] = i < PERIOD ? (unsigned char)(state >> 11) : pattern[i - PERIOD];
    }
}

const unsigned char *pattern_at(uint64_t position) {
    return pattern + position % PERIOD;
}

/* A message is its number, then pattern from a place that follows from the number. */
void make_message(unsigned char *message, size_t length, uint64_t number) {
    memcpy(message, &number, sizeof number);
    memcpy(message + sizeof number, pattern_at(number * 7919), length - sizeof number);
}

bool is_message(const unsigned char *message, size_t length, uint64_t number) {
    return memcmp(message, &number, sizeof number) == 0 &&
           memcmp(message + sizeof number, pattern_at(number * 7919), length - sizeof number) == 0;
}
