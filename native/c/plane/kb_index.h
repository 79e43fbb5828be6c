/* Hash index from keys that live elsewhere (addresses, ICE user fragments) to numbers.
 *
 * Open addressing with backward-shift deletion: no tombstones, so a year of joins and leaves leaves no trace. The
 * seed is random per plane: a peer that chooses its own keys cannot aim for one bucket. Not thread-safe.
 */
#ifndef KB_INDEX_H
#define KB_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct kb_index_entry {
    uint64_t hash;
    uint32_t value_plus_1; /* 0 = empty, so that fresh pages need no pass */
} kb_index_entry;

typedef struct kb_index {
    kb_index_entry *entries;
    uint64_t seed;
    uint32_t mask;
    uint32_t used;
} kb_index;

#define KB_INDEX_NONE UINT32_MAX

/* Tells whether the entry with this value has this key; `owner` is the table the values count into. */
typedef bool (*kb_index_same)(const void *owner, uint32_t value, const void *key);

/* Room for `capacity` keys at half load. Returns 0, or -1 without memory. */
int kb_index_init(kb_index *index, uint32_t capacity, uint64_t seed);
void kb_index_free(kb_index *index);
uint64_t kb_index_hash(const kb_index *index, const void *key, size_t bytes);
/* The value under the key, or KB_INDEX_NONE. */
uint32_t kb_index_find(const kb_index *index, uint64_t hash, kb_index_same same, const void *owner, const void *key);
/* The key must be absent. Returns 0, or -1 when the index is at its capacity. */
int kb_index_add(kb_index *index, uint64_t hash, uint32_t value);
/* Removes the entry with exactly this hash and value; nothing when there is none. */
void kb_index_remove(kb_index *index, uint64_t hash, uint32_t value);

#endif
