/* A descriptor that becomes readable when another thread says so: an eventfd, or a pipe where there is none. */
#ifndef KB_WAKE_H
#define KB_WAKE_H

#include <fcntl.h>
#include <stdint.h>
#include <unistd.h>

#if defined(__linux__) && !defined(KB_PORTABLE)
#include <sys/eventfd.h>
#endif

typedef struct kb_wake {
    int read_fd; /* the same number as the other one for an eventfd; −1 = closed */
    int write_fd;
} kb_wake;

/* Returns 0, or −1 without descriptors. */
static inline int kb_wake_open(kb_wake *wake)
{
#if defined(__linux__) && !defined(KB_PORTABLE)
    wake->read_fd = wake->write_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return wake->read_fd < 0 ? -1 : 0;
#else
    int ends[2];
    wake->read_fd = wake->write_fd = -1;
    if (pipe(ends) != 0)
        return -1;
    for (int i = 0; i < 2; i++) {
        fcntl(ends[i], F_SETFD, FD_CLOEXEC);
        fcntl(ends[i], F_SETFL, O_NONBLOCK);
    }
    wake->read_fd = ends[0];
    wake->write_fd = ends[1];
    return 0;
#endif
}

static inline void kb_wake_close(kb_wake *wake)
{
    if (wake->read_fd >= 0)
        close(wake->read_fd);
    if (wake->write_fd >= 0 && wake->write_fd != wake->read_fd)
        close(wake->write_fd);
    wake->read_fd = wake->write_fd = -1;
}

static inline void kb_wake_tell(const kb_wake *wake)
{
    const uint64_t one = 1;
    /* It fails only when it is full, and then it is readable anyway. */
    const ssize_t written = write(wake->write_fd, &one, sizeof one);
    (void)written;
}

/* Not readable any more, until told again. Never waits. */
static inline void kb_wake_clear(const kb_wake *wake)
{
    uint64_t told[64];
    while (read(wake->read_fd, told, sizeof told) == (ssize_t)sizeof told)
        ;
}

#endif
