/* Has the clock of the wall jump by CLOCK_JUMP_S seconds, in each process at its call number CLOCK_JUMP_AT.
 *
 * CLOCK_JUMP_FILE names a file with the seconds, in whose place nothing else need change.
 * Loaded with LD_PRELOAD. The monotonic clocks go on as they do when an administrator, or NTP, sets the other.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

static _Atomic long calls;
static long jump_s, jump_at;

__attribute__((constructor)) static void begin(void) {
    const char *by = getenv("CLOCK_JUMP_S"), *at = getenv("CLOCK_JUMP_AT");
    jump_s = by ? strtol(by, NULL, 10) : 0;
    const char *told = getenv("CLOCK_JUMP_FILE");
    FILE *file = told ? fopen(told, "r") : NULL;
    if (file) {
        if (fscanf(file, "%ld", &jump_s) != 1)
            jump_s = 0;
        fclose(file);
    }
    jump_at = at ? strtol(at, NULL, 10) : 0;
}

static time_t jumped(void) { return ++calls > jump_at ? jump_s : 0; }

int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*stock)(clockid_t, struct timespec *);
    if (!stock)
        stock = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int ended = stock(clock, now);
    if (!ended && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec += jumped();
    return ended;
}

time_t time(time_t *where) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (where)
        *where = now.tv_sec;
    return now.tv_sec;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec found;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &found);
    now->tv_sec = found.tv_sec;
    now->tv_usec = found.tv_nsec / 1000;
    return 0;
}
