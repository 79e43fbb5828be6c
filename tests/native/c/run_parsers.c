/* Every parser of the plane on files and on mutations of them, each copied to a block of exactly its size, so that a
 * sanitizer sees the first byte beyond. Usage: run_parsers [-n mutations per input] [-s seed] [files…]; files that are
 * Go fuzz literals or packet dumps are taken as raw bytes here, tests/native/test_parsers.py decodes them.
 */
#include "kb_codec.h"
#include "kb_framing.h"
#include "kb_index.h"
#include "kb_red.h"
#include "kb_rtcp.h"
#include "kb_rtp.h"
#include "kb_stun.h"
#include "kb_twcc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint64_t state;

static uint32_t next_random(void)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 33);
}

static void parse(const uint8_t *data, size_t size)
{
    uint8_t *exact = malloc(size ? size : 1);
    if (!exact)
        abort();
    if (size)
        memcpy(exact, data, size);
    kb_fuzz_demux(exact, size);
    kb_fuzz_stun(exact, size);
    kb_fuzz_rtp(exact, size);
    kb_fuzz_rtcp(exact, size);
    kb_fuzz_codec(exact, size);
    kb_fuzz_twcc(exact, size);
    if (kb_fuzz_red(exact, size) < KB_RED_MALFORMED)
        abort(); /* written and read again it was another packet */
    if (kb_fuzz_framing(exact, size) < 0)
        abort(); /* bytes one at a time gave other frames */
    free(exact);
}

static void mutate(const uint8_t *data, size_t size, unsigned long count)
{
    static const uint8_t edges[] = {0, 1, 3, 4, 0x0f, 0x10, 0x7f, 0x80, 0x90, 0xa0, 0xbe, 0xde, 0xff};
    uint8_t copy[4096];
    for (unsigned long i = 0; i < count; i++) {
        size_t bytes = size;
        memcpy(copy, data, size);
        for (uint32_t changes = next_random() % 6 + 1; changes && bytes; changes--) {
            size_t at = next_random() % (next_random() % 2 ? bytes : (bytes < 32 ? bytes : 32));
            copy[at] = next_random() % 2 ? edges[next_random() % sizeof edges] : (uint8_t)next_random();
        }
        if (next_random() % 3 == 0)
            bytes = next_random() % (bytes + 1);
        parse(copy, bytes);
    }
}

static void parse_all(const uint8_t *data, size_t size, unsigned long mutations)
{
    for (size_t cut = 0; cut <= size && cut <= 300; cut++)
        parse(data, cut);
    parse(data, size);
    mutate(data, size, mutations);
}

static int parse_file(const char *path, unsigned long mutations)
{
    uint8_t data[4096];
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        return 1;
    }
    size_t size = fread(data, 1, sizeof data, file);
    fclose(file);
    parse_all(data, size, mutations);
    return 0;
}

/* Valid starts of each kind, so that mutations get past the first check also without any file. */
static void parse_built_in(unsigned long mutations)
{
    static const uint8_t stun[] = {
        0, 1, 0, 44, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
        0, 6, 0, 9, 'a', 'b', 'c', 'd', ':', 'w', 'x', 'y', 'z', 0, 0, 0, 0, 0x25, 0, 0,
        0, 8, 0, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    };
    static const uint8_t rtp[] = {
        0xb1, 0x6f, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 9, 0xbe, 0xde, 0, 2, 0x11, 'a', 'b', 0x20, 5, 0, 0, 0,
        's', 'o', 'u', 'n', 'd', 0, 0, 3,
    };
    static const uint8_t two_byte[] = {
        0x90, 0x6f, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0x10, 0, 0, 2, 1, 2, 'a', 'b', 2, 1, 5, 0, 's',
    };
    static const uint8_t reports[] = {
        0x81, 200, 0, 12, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0x81, 202, 0, 3, 0, 0, 0, 1, 1, 4, 'n', 'a', 'm', 'e', 0, 0,
        0x8f, 206, 0, 5, 0, 0, 0, 1, 0, 0, 0, 0, 'R', 'E', 'M', 'B', 1, 0, 0, 0, 0, 0, 0, 7,
        0xa1, 203, 0, 2, 0, 0, 0, 1, 0, 0, 0, 4,
    };
    /* Two copies of 20 ms frames before a third. */
    static const uint8_t red[] = {0xef, 0x1e, 0, 3, 0xef, 0x0f, 0, 4, 0x6f, 0x78, 1, 2, 0x78, 3, 4, 5, 0x78, 6};
    if (kb_fuzz_red(red, sizeof red) != 2)
        abort();
    parse_all(red, sizeof red, mutations);
    if (kb_rtcp_check(reports, sizeof reports) != 4 || kb_fuzz_rtp(rtp, sizeof rtp) != 5)
        abort(); /* not seeds any more */
    parse_all(stun, sizeof stun, mutations);
    parse_all(rtp, sizeof rtp, mutations);
    parse_all(two_byte, sizeof two_byte, mutations);
    parse_all(reports, sizeof reports, mutations);
    static const uint8_t frames[] = {0, 3, 'o', 'n', 'e', 0, 0, 0, 1, '2', 0x05, 0xdd, 0, 0, 0, 2, 'e', 'n', 0};
    parse_all(frames, sizeof frames, mutations);
}

static bool same_number(const void *owner, uint32_t value, const void *key)
{
    return ((const uint32_t *)owner)[value] == *(const uint32_t *)key;
}

/* The index against a plain array, with few buckets and so with long runs to shift back. */
static int check_index(void)
{
    enum { COUNT = 64 };
    uint32_t keys[COUNT] = {0};
    kb_index index;
    if (kb_index_init(&index, COUNT, 1) != 0)
        return 1;
    for (int step = 0; step < 200000; step++) {
        uint32_t at = next_random() % COUNT;
        if (keys[at]) {
            uint64_t hash = keys[at] % 7; /* collisions on purpose */
            if (kb_index_find(&index, hash, same_number, keys, &keys[at]) != at)
                return 1;
            kb_index_remove(&index, hash, at);
            uint32_t gone = keys[at];
            keys[at] = 0;
            if (kb_index_find(&index, hash, same_number, keys, &gone) != KB_INDEX_NONE)
                return 1;
        } else {
            keys[at] = (uint32_t)step + 1;
            if (kb_index_add(&index, keys[at] % 7, at) != 0)
                return 1;
        }
    }
    kb_index_free(&index);
    return 0;
}

/* The queue of a connection against a plain list: frames go whole, in order, with any part taken at a time, and only
 * old ones that have not begun are dropped. */
static int check_frame_queue(void)
{
    enum { KEPT = 70000 };
    static kb_frame_queue queue;
    static struct {
        uint32_t number, at_ms;
        size_t bytes;
    } model[KEPT];
    size_t first = 0, last = 0, gone = 0;
    uint32_t now_ms = UINT32_MAX - 5000, number = 0;
    uint8_t frame[KB_FRAME_BYTES];
    while (last < KEPT - 1) {
        now_ms += next_random() % 20;
        for (uint32_t i = next_random() % 12; i > 0 && last < KEPT; i--) {
            size_t bytes = next_random() % 4 ? 8 + next_random() % 200 : 8 + next_random() % 1492;
            memset(frame, (int)(number & 0xff), bytes);
            memcpy(frame, &number, sizeof number);
            size_t waiting = 0;
            for (size_t k = first; k < last; k++)
                waiting += model[k].bytes + 6;
            bool kept = kb_frame_put(&queue, frame, bytes, now_ms);
            if (kept != (waiting + bytes + 6 <= KB_FRAME_QUEUE_BYTES))
                return 1;
            if (kept) {
                model[last].number = number;
                model[last].at_ms = now_ms;
                model[last++].bytes = bytes;
            }
            number++;
        }
        uint32_t dropped = kb_frame_drop_stale(&queue, now_ms, 100);
        size_t from = first + (gone > 0);
        while (from < last && now_ms - model[from].at_ms > 100) {
            from++;
            dropped--;
        }
        if (dropped)
            return 1;
        if (gone > 0 && from > first + 1)
            model[from - 1] = model[first]; /* the begun one stays before what is kept */
        first = gone > 0 ? from - 1 : from;
        struct iovec vectors[8];
        int count = kb_frame_vectors(&queue, vectors, 8);
        if ((count > 0) != (first < last))
            return 1;
        size_t take = next_random() % 3000;
        for (int i = 0; i < count && take > 0; i++) {
            size_t bytes = vectors[i].iov_len < take ? vectors[i].iov_len : take;
            const uint8_t *at = vectors[i].iov_base;
            for (size_t k = 0; k < bytes; k++, gone++) {
                uint8_t expected = gone == 0   ? (uint8_t)(model[first].bytes >> 8)
                                   : gone == 1 ? (uint8_t)model[first].bytes
                                   : gone < 6  ? ((const uint8_t *)&model[first].number)[gone - 2]
                                               : (uint8_t)model[first].number;
                if (at[k] != expected)
                    return 1;
            }
            kb_frame_taken(&queue, bytes);
            take -= bytes;
            if (gone == model[first].bytes + 2) {
                gone = 0;
                first++;
            }
        }
        if (kb_frame_queue_empty(&queue) != (first == last))
            return 1;
    }
    return 0;
}

int main(int count, char **arguments)
{
    unsigned long mutations = 20000;
    state = 1;
    int option;
    while ((option = getopt(count, arguments, "n:s:")) != -1) {
        if (option == 'n')
            mutations = strtoul(optarg, NULL, 10);
        else if (option == 's')
            state = strtoul(optarg, NULL, 10);
        else
            return 2;
    }
    int failures = check_index() + check_frame_queue();
    parse_built_in(mutations);
    for (int i = optind; i < count; i++)
        failures += parse_file(arguments[i], mutations);
    if (failures)
        fprintf(stderr, "run_parsers: %d failures\n", failures);
    return failures != 0;
}
