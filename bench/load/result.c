/* What is counted, and its one line of JSON. Latencies go into buckets of a 32nd of a power of two: within 3 %. */
#include "load.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const char *const NAMES[FAILURES] = {"refused", "broken", "corrupt", "stalled"};

uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * SECOND + (uint64_t)time.tv_nsec;
}

void took(struct result *result, uint64_t nanoseconds) {
    unsigned power = 63 - (unsigned)__builtin_clzll(nanoseconds | 32);
    result->latencies[power * 32 + ((nanoseconds >> (power - 5)) & 31)]++;
}

static double percentile_us(const struct result *result, double share) {
    uint64_t total = 0, seen = 0;
    size_t bucket = 0, buckets = sizeof result->latencies / sizeof *result->latencies;
    for (size_t i = 0; i < buckets; i++)
        total += result->latencies[i];
    if (total == 0)
        return 0;
    for (; bucket < buckets; bucket++) {
        seen += result->latencies[bucket];
        if ((double)seen >= share * (double)total)
            break;
    }
    unsigned power = (unsigned)bucket / 32;
    return ((double)(bucket % 32) + 32.5) * (double)(1ULL << power) / 32 / 1000;
}

void failed(struct result *result, enum failure failure, const char *format, ...) {
    if (failures(result) == 0) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(result->first_failure, sizeof result->first_failure, format, arguments);
        va_end(arguments);
    }
    result->failures[failure]++;
}

uint64_t failures(const struct result *result) {
    uint64_t sum = 0;
    for (int i = 0; i < FAILURES; i++)
        sum += result->failures[i];
    return sum;
}

void print_result(const struct result *result) {
    printf("{\"operations\": %llu, \"bytes\": %llu, \"seconds\": %.6f, ", (unsigned long long)result->operations,
           (unsigned long long)result->bytes, result->seconds);
    printf("\"p50_us\": %.1f, \"p99_us\": %.1f, ", percentile_us(result, 0.5), percentile_us(result, 0.99));
    printf("\"opened\": %llu, \"opening_seconds\": %.6f, ", (unsigned long long)result->opened,
           result->opening_seconds);
    printf("\"lost\": %llu, \"late\": %llu, \"failures\": {", (unsigned long long)result->lost,
           (unsigned long long)result->late);
    for (int i = 0; i < FAILURES; i++)
        printf("%s\"%s\": %llu", i ? ", " : "", NAMES[i], (unsigned long long)result->failures[i]);
    printf("}, \"first_failure\": \"");
    for (const char *at = result->first_failure; *at; at++)
        putchar(*at < 0x20 || *at > 0x7e || *at == '"' || *at == '\\' ? '?' : *at);
    printf("\"}\n");
    fflush(stdout);
}
