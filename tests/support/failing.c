/* Lets one system call in a row fail, or kills the process there, among those that write below certain folders.
 *
 * Loaded with LD_PRELOAD into a command and all of its children. FAULT_COUNTER is a file of eight bytes that all of them
 * share: the number of calls so far. FAULT_UNDER has the folders, separated by colons; FAULT_AT the number of the call
 * that fails, from 1 on, among those in whose lines FAULT_MATCH stands, if that is given; FAULT_ERRNO how: an error number, -1 for a short write, -9 for SIGKILL. FAULT_LOG is a file
 * that gets a line for each call. With a FAULT_AT of -1 all of them fail; a FAULT_MATCH that begins with ^ is the line's
 * beginning.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define STOCK(name, type, ...)                                                                                         \
    static type (*stock)(__VA_ARGS__);                                                                                 \
    if (!stock)                                                                                                        \
    stock = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

static _Atomic uint64_t *counter;
static const char *under, *match;
static uint64_t fails_at;
static long how;
static int listing = -1;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("FAULT_COUNTER"), *at = getenv("FAULT_AT"), *error = getenv("FAULT_ERRNO");
    const char *list = getenv("FAULT_LOG");
    under = getenv("FAULT_UNDER");
    match = getenv("FAULT_MATCH");
    if (!path || !under)
        return;
    fails_at = at ? strtoull(at, NULL, 10) : 0;
    how = error ? strtol(error, NULL, 10) : EIO;
    int file = syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC);
    if (file < 0)
        return;
    void *shared = mmap(NULL, 8, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    syscall(SYS_close, file);
    if (shared != MAP_FAILED)
        counter = shared;
    if (list)
        listing = syscall(SYS_openat, AT_FDCWD, list, O_WRONLY | O_APPEND | O_CLOEXEC);
}

static int is_below(const char *path) {
    for (const char *each = under; *each;) {
        size_t length = strcspn(each, ":");
        if (!strncmp(path, each, length) && (path[length] == '/' || !path[length]))
            return 1;
        each += length + (each[length] == ':');
    }
    return 0;
}

/* The absolute path of what a call is about; empty where it is unknown. */
static void absolute(int folder, const char *path, char *whole) {
    char link[64], base[PATH_MAX / 2];
    whole[0] = 0;
    if (path && path[0] == '/') {
        snprintf(whole, PATH_MAX, "%s", path);
        return;
    }
    snprintf(link, sizeof link, folder == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", folder);
    ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, base, sizeof base - 1);
    if (length <= 0)
        return;
    base[length] = 0;
    if (path && path[0])
        snprintf(whole, PATH_MAX, "%s/%.2000s", base, path);
    else
        snprintf(whole, PATH_MAX, "%s", base);
}

/* Whether this call is the one: 1 to fail with errno set, 2 to write less. */
static int is_its_turn(const char *name, int folder, const char *path) {
    char whole[PATH_MAX], line[PATH_MAX + 64];
    int kept = errno;
    if (!counter)
        return 0;
    absolute(folder, path, whole);
    if (!is_below(whole)) {
        errno = kept;
        return 0;
    }
    int length = snprintf(line, sizeof line, "%s %s\n", name, whole);
    if (listing >= 0)
        syscall(SYS_write, listing, line, (size_t)length);
    int counts = !match || (*match == '^' ? !strncmp(line, match + 1, strlen(match + 1)) : !!strstr(line, match));
    uint64_t number = counts ? ++*counter : 0;
    errno = kept;
    if (!number || (number != fails_at && fails_at != UINT64_MAX))
        return 0;
    if (how == -9)
        syscall(SYS_kill, syscall(SYS_getpid), SIGKILL);
    if (how < 0)
        return 2;
    errno = (int)how;
    return 1;
}

static int writes(int flags) { return flags & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC); }

#define MODE(flags, last)                                                                                              \
    mode_t mode = 0;                                                                                                   \
    if ((flags) & (O_CREAT | __O_TMPFILE)) {                                                                           \
        va_list more;                                                                                                  \
        va_start(more, last);                                                                                          \
        mode = va_arg(more, mode_t);                                                                                   \
        va_end(more);                                                                                                  \
    }

#define OPEN(name)                                                                                                     \
    int name(const char *path, int flags, ...) {                                                                       \
        MODE(flags, flags)                                                                                             \
        STOCK(#name, int, const char *, int, ...);                                                                     \
        if (writes(flags) && is_its_turn("open", AT_FDCWD, path) == 1)                                                 \
            return -1;                                                                                                 \
        return stock(path, flags, mode);                                                                               \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                                                                   \
    int name(int folder, const char *path, int flags, ...) {                                                           \
        MODE(flags, flags)                                                                                             \
        STOCK(#name, int, int, const char *, int, ...);                                                                \
        if (writes(flags) && is_its_turn("open", folder, path) == 1)                                                   \
            return -1;                                                                                                 \
        return stock(folder, path, flags, mode);                                                                       \
    }
OPENAT(openat)
OPENAT(openat64)

ssize_t write(int file, const void *data, size_t size) {
    STOCK("write", ssize_t, int, const void *, size_t);
    int turn = is_its_turn("write", file, NULL);
    return turn == 1 ? -1 : stock(file, data, turn == 2 && size > 1 ? size / 2 : size);
}

#define PWRITE(name)                                                                                                   \
    ssize_t name(int file, const void *data, size_t size, off64_t at) {                                                \
        STOCK(#name, ssize_t, int, const void *, size_t, off64_t);                                                     \
        int turn = is_its_turn("write", file, NULL);                                                                   \
        return turn == 1 ? -1 : stock(file, data, turn == 2 && size > 1 ? size / 2 : size, at);                        \
    }
PWRITE(pwrite)
PWRITE(pwrite64)

ssize_t writev(int file, const struct iovec *data, int count) {
    STOCK("writev", ssize_t, int, const struct iovec *, int);
    int turn = is_its_turn("write", file, NULL);
    return turn == 1 ? -1 : stock(file, data, turn == 2 ? 1 : count);
}

ssize_t copy_file_range(int from, off64_t *at, int to, off64_t *there, size_t size, unsigned flags) {
    STOCK("copy_file_range", ssize_t, int, off64_t *, int, off64_t *, size_t, unsigned);
    int turn = is_its_turn("copy_file_range", to, NULL);
    return turn == 1 ? -1 : stock(from, at, to, there, turn == 2 && size > 1 ? size / 2 : size, flags);
}

#define SENDFILE(name, offset)                                                                                         \
    ssize_t name(int to, int from, offset *at, size_t size) {                                                          \
        STOCK(#name, ssize_t, int, int, offset *, size_t);                                                             \
        int turn = is_its_turn("sendfile", to, NULL);                                                                  \
        return turn == 1 ? -1 : stock(to, from, at, turn == 2 && size > 1 ? size / 2 : size);                          \
    }
SENDFILE(sendfile, off_t)
SENDFILE(sendfile64, off64_t)

/* Calls that fail or do not; a short write is no matter of theirs. */
#define ONE(name, told, type, folder, path, declared, ...)                                                             \
    type name declared {                                                                                               \
        typedef type(*function) declared;                                                                              \
        static function stock;                                                                                         \
        if (!stock)                                                                                                    \
            stock = (function)dlsym(RTLD_NEXT, #name);                                                                 \
        return is_its_turn(told, folder, path) == 1 ? -1 : stock(__VA_ARGS__);                                         \
    }

ONE(mkdir, "mkdir", int, AT_FDCWD, p, (const char *p, mode_t m), p, m)
ONE(mkdirat, "mkdir", int, d, p, (int d, const char *p, mode_t m), d, p, m)
ONE(rmdir, "rmdir", int, AT_FDCWD, p, (const char *p), p)
ONE(unlink, "unlink", int, AT_FDCWD, p, (const char *p), p)
ONE(unlinkat, "unlink", int, d, p, (int d, const char *p, int f), d, p, f)
ONE(link, "link", int, AT_FDCWD, q, (const char *p, const char *q), p, q)
ONE(linkat, "link", int, e, q, (int d, const char *p, int e, const char *q, int f), d, p, e, q, f)
ONE(symlink, "symlink", int, AT_FDCWD, q, (const char *p, const char *q), p, q)
ONE(symlinkat, "symlink", int, d, q, (const char *p, int d, const char *q), p, d, q)
ONE(rename, "rename", int, AT_FDCWD, q, (const char *p, const char *q), p, q)
ONE(renameat, "rename", int, e, q, (int d, const char *p, int e, const char *q), d, p, e, q)
ONE(chmod, "chmod", int, AT_FDCWD, p, (const char *p, mode_t m), p, m)
ONE(fchmod, "chmod", int, f, NULL, (int f, mode_t m), f, m)
ONE(fchmodat, "chmod", int, d, p, (int d, const char *p, mode_t m, int f), d, p, m, f)
ONE(chown, "chown", int, AT_FDCWD, p, (const char *p, uid_t u, gid_t g), p, u, g)
ONE(lchown, "chown", int, AT_FDCWD, p, (const char *p, uid_t u, gid_t g), p, u, g)
ONE(fchown, "chown", int, f, NULL, (int f, uid_t u, gid_t g), f, u, g)
ONE(fchownat, "chown", int, d, p, (int d, const char *p, uid_t u, gid_t g, int f), d, p, u, g, f)
ONE(utimensat, "utime", int, d, p, (int d, const char *p, const struct timespec t[2], int f), d, p, t, f)
ONE(futimens, "utime", int, f, NULL, (int f, const struct timespec t[2]), f, t)
ONE(fsync, "fsync", int, f, NULL, (int f), f)
ONE(fdatasync, "fsync", int, f, NULL, (int f), f)
ONE(ftruncate, "truncate", int, f, NULL, (int f, off_t s), f, s)
ONE(ftruncate64, "truncate", int, f, NULL, (int f, off64_t s), f, s)
ONE(flock, "flock", int, f, NULL, (int f, int o), f, o)

int ioctl(int file, unsigned long request, ...) {
    va_list more;
    va_start(more, request);
    void *argument = va_arg(more, void *);
    va_end(more);
    STOCK("ioctl", int, int, unsigned long, ...);
    if (request == 0x40049409 /* FICLONE */ && is_its_turn("clone", file, NULL) == 1)
        return -1;
    return stock(file, request, argument);
}
