/* Waits for descriptors: epoll, or poll(2) where there is none. One thread. */
#ifndef KB_POLLER_H
#define KB_POLLER_H

#include <stdbool.h>
#include <stdint.h>

typedef struct kb_poller kb_poller;

enum {
    KB_READABLE = 1,
    KB_WRITABLE = 2,
    KB_BROKEN = 4, /* told without being asked for */
    KB_WAKE = 8,   /* with KB_READABLE: a kb_wake, cleared by itself */
};

typedef struct kb_ready {
    uint64_t tag;
    uint32_t what;
} kb_ready;

/* Up to `capacity` descriptors. NULL without memory or descriptors. */
kb_poller *kb_poller_new(bool portable, uint32_t capacity);
void kb_poller_free(kb_poller *poller);
/* Waits for this on the descriptor from now on. Returns 0 or −1. */
int kb_poller_add(kb_poller *poller, int fd, uint64_t tag, uint32_t what);
int kb_poller_change(kb_poller *poller, int fd, uint64_t tag, uint32_t what);
/* Before it is closed. */
void kb_poller_remove(kb_poller *poller, int fd);
/* Returns how many are ready, at most `most`; others come first in the next call. */
int kb_poller_wait(kb_poller *poller, kb_ready *ready, int most, int timeout_ms);

#endif
