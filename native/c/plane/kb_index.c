#include "kb_index.h"

#include <stdlib.h>

int kb_index_init(kb_index *index, uint32_t capacity, uint64_t seed)
{
    uint32_t size = 16;
    while (size < capacity * 2)
        size *= 2;
    index->entries = calloc(size, sizeof *index->entries);
    index->seed = seed;
    index->mask = size - 1;
    index->used = 0;
    return index->entries ? 0 : -1;
}

void kb_index_free(kb_index *index)
{
    free(index->entries);
    index->entries = NULL;
}

uint64_t kb_index_hash(const kb_index *index, const void *key, size_t bytes)
{
    const uint8_t *at = key;
    uint64_t hash = index->seed ^ 0xcbf29ce484222325u; /* FNV-1a, then the finaliser of MurmurHash3 */
    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ at[i]) * 0x100000001b3u;
    hash ^= hash >> 33;
    hash *= 0xff51afd7ed558ccdu;
    return hash ^ (hash >> 33);
}

uint32_t kb_index_find(const kb_index *index, uint64_t hash, kb_index_same same, const void *owner, const void *key)
{
    for (uint32_t at = (uint32_t)hash & index->mask;; at = (at + 1) & index->mask) {
        const kb_index_entry *entry = &index->entries[at];
        if (entry->value_plus_1 == 0)
            return KB_INDEX_NONE;
        if (entry->hash == hash && same(owner, entry->value_plus_1 - 1, key))
            return entry->value_plus_1 - 1;
    }
}

int kb_index_add(kb_index *index, uint64_t hash, uint32_t value)
{
    if (index->used * 2 > index->mask)
        return -1;
    uint32_t at = (uint32_t)hash & index->mask;
    while (index->entries[at].value_plus_1 != 0)
        at = (at + 1) & index->mask;
    index->entries[at] = (kb_index_entry){.hash = hash, .value_plus_1 = value + 1};
    index->used++;
    return 0;
}

void kb_index_remove(kb_index *index, uint64_t hash, uint32_t value)
{
    kb_index_entry *entries = index->entries;
    uint32_t hole = (uint32_t)hash & index->mask;
    while (entries[hole].value_plus_1 != value + 1 || entries[hole].hash != hash) {
        if (entries[hole].value_plus_1 == 0)
            return;
        hole = (hole + 1) & index->mask;
    }
    /* Pull back every later entry of the run whose home is not between the hole and itself. */
    for (uint32_t at = (hole + 1) & index->mask; entries[at].value_plus_1 != 0; at = (at + 1) & index->mask) {
        uint32_t home = (uint32_t)entries[at].hash & index->mask;
        if (((at - home) & index->mask) >= ((at - hole) & index->mask)) {
            entries[hole] = entries[at];
            hole = at;
        }
    }
    entries[hole] = (kb_index_entry){0};
    index->used--;
}
