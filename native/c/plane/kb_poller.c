#define _GNU_SOURCE
#include "kb_poller.h"

#include "kb_wake.h"

#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#if defined(__linux__) && !defined(KB_PORTABLE)
#include <sys/epoll.h>
#define HAVE_EPOLL 1
#else
#define HAVE_EPOLL 0
#endif

#define EVENTS_MOST 64

typedef struct watched {
    uint64_t tag;
    uint32_t what;
} watched;

struct kb_poller {
    int epoll_fd; /* −1 = by poll */
    uint32_t capacity, count, from;
    struct pollfd *fds;
    watched *watched;
};

kb_poller *kb_poller_new(bool portable, uint32_t capacity)
{
    kb_poller *poller = calloc(1, sizeof *poller);
    if (!poller)
        return NULL;
    poller->epoll_fd = -1;
    poller->capacity = capacity;
#if HAVE_EPOLL
    if (!portable) {
        poller->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        if (poller->epoll_fd >= 0)
            return poller;
        free(poller);
        return NULL;
    }
#endif
    (void)portable;
    poller->fds = calloc(capacity, sizeof *poller->fds);
    poller->watched = calloc(capacity, sizeof *poller->watched);
    if (poller->fds && poller->watched)
        return poller;
    kb_poller_free(poller);
    return NULL;
}

void kb_poller_free(kb_poller *poller)
{
    if (!poller)
        return;
    if (poller->epoll_fd >= 0)
        close(poller->epoll_fd);
    free(poller->fds);
    free(poller->watched);
    free(poller);
}

#if HAVE_EPOLL
static int control(kb_poller *poller, int operation, int fd, uint64_t tag, uint32_t what)
{
    /* An eventfd that is heard of at its edges needs no read to be heard of again. */
    struct epoll_event event = {
        .events = (what & KB_READABLE ? (uint32_t)EPOLLIN : 0) | (what & KB_WRITABLE ? (uint32_t)EPOLLOUT : 0) |
                  (what & KB_WAKE ? (uint32_t)EPOLLET : 0),
        .data.u64 = tag,
    };
    return epoll_ctl(poller->epoll_fd, operation, fd, &event);
}
#endif

static short wanted(uint32_t what)
{
    return (short)((what & KB_READABLE ? POLLIN : 0) | (what & KB_WRITABLE ? POLLOUT : 0));
}

static uint32_t find(const kb_poller *poller, int fd)
{
    uint32_t at = 0;
    while (at < poller->count && poller->fds[at].fd != fd)
        at++;
    return at;
}

int kb_poller_add(kb_poller *poller, int fd, uint64_t tag, uint32_t what)
{
#if HAVE_EPOLL
    if (poller->epoll_fd >= 0)
        return control(poller, EPOLL_CTL_ADD, fd, tag, what);
#endif
    if (poller->count == poller->capacity)
        return -1;
    poller->fds[poller->count] = (struct pollfd){.fd = fd, .events = wanted(what)};
    poller->watched[poller->count++] = (watched){.tag = tag, .what = what};
    return 0;
}

int kb_poller_change(kb_poller *poller, int fd, uint64_t tag, uint32_t what)
{
#if HAVE_EPOLL
    if (poller->epoll_fd >= 0)
        return control(poller, EPOLL_CTL_MOD, fd, tag, what);
#endif
    uint32_t at = find(poller, fd);
    if (at == poller->count)
        return -1;
    poller->fds[at].events = wanted(what);
    poller->watched[at] = (watched){.tag = tag, .what = what};
    return 0;
}

void kb_poller_remove(kb_poller *poller, int fd)
{
    if (poller->epoll_fd >= 0)
        return; /* closing does it */
    uint32_t at = find(poller, fd);
    if (at == poller->count)
        return;
    poller->count--;
    poller->fds[at] = poller->fds[poller->count];
    poller->watched[at] = poller->watched[poller->count];
}

static int wait_by_poll(kb_poller *poller, kb_ready *ready, int most, int timeout_ms)
{
    int left = poll(poller->fds, (nfds_t)poller->count, timeout_ms), count = 0;
    uint32_t at = poller->from < poller->count ? poller->from : 0;
    for (uint32_t seen = 0; seen < poller->count && left > 0 && count < most; seen++, at = (at + 1) % poller->count) {
        const struct pollfd *one = &poller->fds[at];
        if (!one->revents)
            continue;
        left--;
        if (poller->watched[at].what & KB_WAKE) {
            kb_wake wake = {one->fd, one->fd};
            kb_wake_clear(&wake);
        }
        ready[count++] = (kb_ready){
            .tag = poller->watched[at].tag,
            .what = (one->revents & POLLIN ? KB_READABLE : 0u) | (one->revents & POLLOUT ? KB_WRITABLE : 0u) |
                    (one->revents & (POLLERR | POLLHUP | POLLNVAL) ? KB_BROKEN : 0u),
        };
    }
    poller->from = at;
    return count;
}

int kb_poller_wait(kb_poller *poller, kb_ready *ready, int most, int timeout_ms)
{
    if (poller->epoll_fd < 0)
        return wait_by_poll(poller, ready, most, timeout_ms);
#if HAVE_EPOLL
    struct epoll_event events[EVENTS_MOST];
    int count = epoll_wait(poller->epoll_fd, events, most < EVENTS_MOST ? most : EVENTS_MOST, timeout_ms);
    for (int i = 0; i < count; i++)
        ready[i] = (kb_ready){
            .tag = events[i].data.u64,
            .what = (events[i].events & EPOLLIN ? KB_READABLE : 0u) | (events[i].events & EPOLLOUT ? KB_WRITABLE : 0u) |
                    (events[i].events & (EPOLLERR | EPOLLHUP) ? KB_BROKEN : 0u),
        };
    return count > 0 ? count : 0;
#else
    return 0;
#endif
}
