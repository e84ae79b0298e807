/* Between a process and its files: counts what it writes under one folder, notes each call and its
 * bytes in a log, and kills the process at the call that it is told. For LD_PRELOAD.
 *
 *   CRASH_DIR   only files under it       CRASH_LOG   where to note (may be unset)
 *   CRASH_AT    number of the call        CRASH_TEAR  1: half of a fatal write is still written
 *
 * A process that was forked calls crash_at() instead, and is counted from there.
 *
 * An entry of the log: op (1), file name (60), offset (8), length (8), bytes. Calls are noted in the
 * order in which they happen, before they happen.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

enum { FILES = 1024, NAME = 60 };
static char names[FILES][NAME]; /* of open files that count, without the folder */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long calls, fatal;
static int tear, log_fd = -1;
static const char *dir;

static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static ssize_t (*real_write)(int, const void *, size_t);
static int (*real_open)(const char *, int, ...);

__attribute__((constructor)) static void begin(void) {
    real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
    real_write = dlsym(RTLD_NEXT, "write");
    real_open = dlsym(RTLD_NEXT, "open64");
    dir = getenv("CRASH_DIR");
    fatal = getenv("CRASH_AT") ? atol(getenv("CRASH_AT")) : -1;
    tear = getenv("CRASH_TEAR") != NULL;
    if (getenv("CRASH_LOG"))
        log_fd = real_open(getenv("CRASH_LOG"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

void crash_at(long call, int torn) {
    calls = 0;
    fatal = call ? call : -1;
    tear = torn;
}

/* The name of a file that counts: the folder itself, or under it and not the index in shared memory. */
static const char *ours(const char *path) {
    size_t n = dir ? strlen(dir) : 0, m = strlen(path);
    if (n && !strcmp(path, dir)) return ".";
    if (!n || strncmp(path, dir, n) || path[n] != '/' || m - n >= NAME) return NULL;
    return m > 4 && !strcmp(path + m - 4, "-shm") ? NULL : path + n + 1;
}

static const char *name_of(int fd) { return fd >= 0 && fd < FILES && *names[fd] ? names[fd] : NULL; }

/* With the lock held: note the call; die of it when it is its turn. */
static void call(char op, const char *name, int64_t offset, const void *bytes, int64_t size, int fd) {
    if (++calls == fatal) {
        if (tear && op == 'w') real_pwrite(fd, bytes, size / 2, offset);
        kill(getpid(), SIGKILL);
    }
    if (log_fd < 0) return;
    char head[1 + NAME + 16] = {op};
    strncpy(head + 1, name, NAME - 1);
    memcpy(head + 1 + NAME, &offset, 8);
    memcpy(head + 1 + NAME + 8, &size, 8);
    if (real_write(log_fd, head, sizeof head) < 0 || (size && real_write(log_fd, bytes, size) < 0))
        abort();
}

#define REAL(type, name, ...) type (*real)(__VA_ARGS__) = dlsym(RTLD_NEXT, name)

static int opened(int fd, const char *path) {
    const char *name = ours(path);
    if (fd >= 0 && fd < FILES) strcpy(names[fd], name ? name : "");
    return fd;
}

#define OPEN(symbol) \
    int symbol(const char *path, int flags, ...) { \
        va_list rest; va_start(rest, flags); \
        int mode = flags & O_CREAT ? va_arg(rest, int) : 0; va_end(rest); \
        REAL(int, #symbol, const char *, int, ...); \
        return opened(real(path, flags, mode), path); }
OPEN(open)
OPEN(open64)

int openat(int at, const char *path, int flags, ...) {
    va_list rest; va_start(rest, flags);
    int mode = flags & O_CREAT ? va_arg(rest, int) : 0; va_end(rest);
    REAL(int, "openat", int, const char *, int, ...);
    return opened(real(at, path, flags, mode), path);
}

int close(int fd) {
    REAL(int, "close", int);
    if (fd >= 0 && fd < FILES) *names[fd] = 0;
    return real(fd);
}

static ssize_t put(int fd, const void *bytes, size_t size, off_t offset, int at) {
    const char *name = name_of(fd);
    if (!name) return at ? real_pwrite(fd, bytes, size, offset) : real_write(fd, bytes, size);
    pthread_mutex_lock(&lock);
    call('w', name, at ? offset : lseek(fd, 0, SEEK_CUR), bytes, size, fd);
    ssize_t done = at ? real_pwrite(fd, bytes, size, offset) : real_write(fd, bytes, size);
    pthread_mutex_unlock(&lock);
    return done;
}

ssize_t write(int fd, const void *b, size_t n) { return put(fd, b, n, 0, 0); }
ssize_t pwrite(int fd, const void *b, size_t n, off_t o) { return put(fd, b, n, o, 1); }
ssize_t pwrite64(int fd, const void *b, size_t n, off64_t o) { return put(fd, b, n, o, 1); }

static int sized(int fd, off_t size, const char *symbol) {
    REAL(int, symbol, int, off_t);
    const char *name = name_of(fd);
    pthread_mutex_lock(&lock);
    if (name) call('t', name, size, NULL, 0, fd);
    int done = real(fd, size);
    pthread_mutex_unlock(&lock);
    return done;
}

int ftruncate(int fd, off_t size) { return sized(fd, size, "ftruncate"); }
int ftruncate64(int fd, off64_t size) { return sized(fd, size, "ftruncate64"); }

static int synced(int fd, const char *symbol) {
    REAL(int, symbol, int);
    const char *name = name_of(fd);
    pthread_mutex_lock(&lock);
    if (name) call('s', name, 0, NULL, 0, fd);
    int done = real(fd);
    pthread_mutex_unlock(&lock);
    return done;
}

int fsync(int fd) { return synced(fd, "fsync"); }
int fdatasync(int fd) { return synced(fd, "fdatasync"); }

int unlink(const char *path) {
    REAL(int, "unlink", const char *);
    const char *name = ours(path);
    pthread_mutex_lock(&lock);
    if (name) call('u', name, 0, NULL, 0, -1);
    int done = real(path);
    pthread_mutex_unlock(&lock);
    return done;
}

int rename(const char *from, const char *to) {
    REAL(int, "rename", const char *, const char *);
    const char *name = ours(from), *new = ours(to);
    pthread_mutex_lock(&lock);
    if (name && new) call('r', name, 0, new, strlen(new), -1);
    int done = real(from, to);
    pthread_mutex_unlock(&lock);
    return done;
}
