/* A token bucket in one number: when the tokens spent so far will have come back; 0 is a full one. */
#ifndef KB_BUCKET_H
#define KB_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

typedef int64_t kb_bucket;

/* Takes a token; `cost_ns` is the time one takes to come back, `burst` how many may be saved. */
static inline bool kb_bucket_take(kb_bucket *bucket, int64_t cost_ns, int64_t burst, int64_t now_ns)
{
    int64_t from = *bucket > now_ns ? *bucket : now_ns;
    if (from + cost_ns > now_ns + burst * cost_ns)
        return false;
    *bucket = from + cost_ns;
    return true;
}

#endif
