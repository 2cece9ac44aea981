/* A wall clock that a test sets, preloaded into the unchanged server program (LD_PRELOAD). The instant, in milliseconds
   since the Unix epoch, stands in the file that TOKENSMITH_TEST_CLOCK_FILE names; the file is mapped, so a change counts
   at once. The monotonic clocks stay the machine's: timeouts run in real time. Without the variable nothing changes. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *millis;
static int (*machine)(clockid_t, struct timespec *);

__attribute__((constructor)) static void begin(void) {
    machine = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    const char *path = getenv("TOKENSMITH_TEST_CLOCK_FILE");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *mapped = mmap(NULL, sizeof *millis, PROT_READ, MAP_SHARED, file, 0);
    close(file);
    if (mapped != MAP_FAILED) millis = mapped;
}

int clock_gettime(clockid_t id, struct timespec *at) {
    if (millis && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) {
        int64_t now = *millis;
        at->tv_sec = now / 1000;
        at->tv_nsec = now % 1000 * 1000000;
        return 0;
    }
    if (!machine) begin();
    return machine(id, at);
}

int gettimeofday(struct timeval *restrict at, void *restrict zone) {
    (void)zone;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    at->tv_sec = now.tv_sec;
    at->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *out) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out) *out = now.tv_sec;
    return now.tv_sec;
}
