/* What the plane's threads wish for when they begin. */
#ifndef KB_REALTIME_H
#define KB_REALTIME_H

#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <time.h>

#define KB_FIFO_PRIORITY 10

enum { KB_SCHEDULING_STOPPED, KB_SCHEDULING_NORMAL, KB_SCHEDULING_FIFO };

static inline const char *kb_scheduling_name(int scheduling)
{
    static const char *const names[] = {"stopped", "normal", "fifo"};
    return names[scheduling];
}

/* Names the calling thread (15 bytes) and asks for a real-time one; returns what it got. */
static inline int kb_realtime_begin(const char *name)
{
#ifdef __linux__
    pthread_setname_np(pthread_self(), name);
#else
    (void)name;
#endif
    struct sched_param priority = {.sched_priority = KB_FIFO_PRIORITY};
    return pthread_setschedparam(pthread_self(), SCHED_FIFO, &priority) ? KB_SCHEDULING_NORMAL : KB_SCHEDULING_FIFO;
}

/* CPU time of a thread that has not been joined; 0 where there is no such clock (macOS). */
static inline int64_t kb_thread_cpu_ns(pthread_t thread)
{
#ifdef __linux__
    clockid_t id;
    struct timespec now;
    if (pthread_getcpuclockid(thread, &id) != 0 || clock_gettime(id, &now) != 0)
        return 0;
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
#else
    (void)thread;
    return 0;
#endif
}

#endif
