/* The bandwidth estimator on a model of a bottleneck, with the real feedback between: a sender of simulcast layers that
 * switches with key frames and is paced as subscribers are, a queue of a rate that changes, random loss, cross traffic, a receiver that reports every
 * 50 ms and asks once for what it misses. Virtual time.
 * Usage: run_estimation [key=value…]: seconds, queue_ms, rtt_ms, loss (per mille), cross (kb/s, on for 2 s of every 4),
 * jitter_ms, pause_ms (of every 2 s), seed, path=ms:kb/s,ms:kb/s…, layers=kb/s,kb/s,kb/s, feedback (0 = none). Prints one line per 100 ms:
 * ms, estimate kb/s, what entered and left the path in kb/s, queue ms, layer, lost, usage, probes, those that raised it,
 * ms since the last picture that could be shown.
 */
#include "kb_allocation.h"
#include "kb_bwe.h"
#include "kb_bytes.h"
#include "kb_pacer.h"
#include "kb_rtcp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MS 1000000LL
#define BEGIN_NS (1000 * MS)
#define IN_FLIGHT 8192
#define STEPS 16
#define FRAMES 1024
#define REPAIRS 1024
#define WAITING 1024

typedef struct datagram {
    int64_t arrives_ns;
    uint16_t sequence;
    bool counted; /* carries the extension */
    uint32_t frame; /* 0 = no picture */
} datagram;

typedef struct frame {
    bool key, whole; /* whole: all its packets were sent */
    uint32_t packets, arrived;
} frame;

typedef struct repair {
    int64_t at_ns;
    size_t bytes;
    uint32_t frame;
    int layer;
} repair;

typedef struct waiting {
    size_t bytes;
    uint32_t frame;
    bool last; /* of its frame */
} waiting;

typedef struct feedback {
    int64_t arrives_ns;
    size_t bytes;
    uint8_t data[1200];
} feedback;

static struct {
    int seconds, queue_ms, rtt_ms, loss, cross, feedback, jitter_ms, pause_ms;
    int step_ms[STEPS], step_kbps[STEPS], steps;
    uint32_t layers[KB_ALLOCATION_LAYERS];
} options = {.seconds = 30, .queue_ms = 300, .rtt_ms = 50, .feedback = 1, .layers = {150000, 500000, 1500000}};

static uint64_t state = 1;
static double queue_bits;
static datagram flying[IN_FLIGHT];
static size_t fly_head, fly_tail;
static feedback reports[64];
static size_t report_head, report_tail;
static kb_bwe bwe;
static kb_twcc_history history;
static kb_twcc_receiver receiver;
static kb_twcc_sample samples[KB_TWCC_SAMPLES];
static kb_pacer pacer;
static waiting queue[WAITING];
static size_t queue_head, queue_tail;
static uint64_t entered, left, lost;
static uint16_t next_sequence = 65000;

static uint32_t next_random(void)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 33);
}

static void fail(const char *what)
{
    fprintf(stderr, "%s\n", what);
    exit(1);
}

static double rate_kbps(int64_t ms)
{
    double kbps = 100000;
    for (int i = 0; i < options.steps; i++)
        if (ms >= options.step_ms[i])
            kbps = options.step_kbps[i];
    return kbps;
}

/* What a picture is sent as: in packets, at 2.5 times the layer's rate, as publishers pace. */
static struct {
    int layer, wanted; /* wanted: its key frame was asked for */
    int64_t key_ns;
    uint32_t frame;
    double waiting; /* bytes */
} film = {.layer = -1, .wanted = -1};
static frame frames[FRAMES];
static repair repairs[REPAIRS];
static size_t repair_head, repair_tail;
static uint32_t shown; /* the last frame that was */
static int64_t shown_ns = BEGIN_NS;

static void enter(size_t bytes, bool counted, uint32_t picture, int64_t now_ns, double kbps)
{
    entered += bytes;
    uint16_t sequence = 0;
    if (counted) {
        sequence = next_sequence++;
        kb_twcc_sent(&history, sequence, bytes, kb_bwe_probing(&bwe), now_ns);
        kb_bwe_sent(&bwe, bytes, now_ns);
        kb_pacer_sent(&pacer, bytes, now_ns);
    }
    double bits = (double)(bytes + 28) * 8;
    if ((queue_bits + bits) / kbps > options.queue_ms || (int)(next_random() % 1000) < options.loss) {
        lost++;
        if (picture) /* found missing with the next packet, asked for, sent once more */
            repairs[repair_tail++ % REPAIRS] =
                (repair){now_ns + (options.rtt_ms + 40) * MS, bytes, picture, film.layer};
        return;
    }
    queue_bits += bits;
    datagram *d = &flying[fly_tail++ % IN_FLIGHT];
    if (fly_tail - fly_head > IN_FLIGHT)
        fail("the model's pipe is too short");
    int64_t wait_ns = (int64_t)(queue_bits / kbps * 1e6);
    d->arrives_ns = now_ns + wait_ns + options.rtt_ms * MS / 2;
    if (options.jitter_ms)
        d->arrives_ns += (int64_t)(next_random() % (uint32_t)(options.jitter_ms * 1000)) * 1000;
    /* A radio that pauses every 2 s and then lets all go that waited. */
    int64_t into_ns = (d->arrives_ns - BEGIN_NS) % (2000 * MS);
    if (into_ns < options.pause_ms * MS)
        d->arrives_ns += options.pause_ms * MS - into_ns;
    /* A path that just became quicker does not let later ones overtake. */
    if (fly_tail - fly_head > 1 && d->arrives_ns < flying[(fly_tail - 2) % IN_FLIGHT].arrives_ns)
        d->arrives_ns = flying[(fly_tail - 2) % IN_FLIGHT].arrives_ns;
    d->sequence = sequence;
    d->counted = counted;
    d->frame = picture;
    left += bytes;
}

static void deliver(int64_t now_ns)
{
    while (fly_head != fly_tail && flying[fly_head % IN_FLIGHT].arrives_ns <= now_ns) {
        datagram *d = &flying[fly_head++ % IN_FLIGHT];
        if (d->counted)
            kb_twcc_receive(&receiver, d->sequence, d->arrives_ns + 123456789 * MS);
        if (!d->frame)
            continue;
        frames[d->frame % FRAMES].arrived++;
        for (uint32_t next = shown + 1; next <= film.frame; next++) {
            const frame *f = &frames[next % FRAMES];
            if ((next == shown + 1 || f->key) && f->whole && f->arrived >= f->packets) {
                shown = next;
                shown_ns = d->arrives_ns;
            }
        }
    }
    while (report_head != report_tail && reports[report_head % 64].arrives_ns <= now_ns) {
        feedback *f = &reports[report_head++ % 64];
        size_t at = 0;
        kb_rtcp_packet packet;
        if (kb_rtcp_next(f->data, f->bytes, &at, &packet) != 1 || packet.count != KB_RTPFB_TWCC)
            fail("our own feedback is not RTCP");
        int count = kb_twcc_read(&history, packet.body, packet.body_bytes, now_ns, samples);
        if (count < 0)
            fail("our own feedback is malformed");
        kb_bwe_feedback(&bwe, samples, (size_t)count, now_ns);
        kb_pacer_rate(&pacer, kb_bwe_pace_bps(&bwe));
        pacer.full = kb_bwe_is_full(&bwe, now_ns);
    }
}

static void forget_waiting(void)
{
    queue_head = queue_tail;
    pacer.slots = 0;
}

static void send_waiting(int64_t now_ns, double kbps)
{
    for (; queue_head != queue_tail; queue_head++) {
        const waiting *w = &queue[queue_head % WAITING];
        if (!kb_pacer_allows(&pacer, now_ns)) {
            pacer.behind_ns = pacer.slots ? pacer.behind_ns : now_ns;
            pacer.slots = 1;
            return;
        }
        frame *f = &frames[w->frame % FRAMES];
        f->packets++;
        f->whole = w->last;
        enter(w->bytes, true, w->frame, now_ns, kbps);
    }
    pacer.slots = 0;
}

/* The layer that is sent follows the one that is wanted with the key frame, a round trip to the publisher later. */
static void shoot(int target, int64_t ms, int64_t now_ns, double kbps)
{
    /* Far beyond what the path carries, the old layer is only in the way. */
    if (film.layer >= 0 && target < film.layer && kb_bwe_bps(&bwe) < options.layers[film.layer] / 2)
        film.layer = -1, forget_waiting();
    if (target < 0)
        film.layer = film.wanted = -1;
    else if (target != film.layer && film.wanted != target)
        film.wanted = target, film.key_ns = now_ns + 60 * MS;
    if (film.layer < 0)
        film.waiting = 0;
    if (ms % 33 == 0 && film.waiting <= 0) {
        bool key = film.wanted >= 0 && now_ns >= film.key_ns;
        if (key)
            film.layer = film.wanted, film.wanted = -1, forget_waiting();
        if (film.layer >= 0) {
            double seconds = key ? 0.25 : 0.033 * (0.8 + 0.4 * (next_random() % 1000) / 1000.0);
            film.waiting = options.layers[film.layer] / 8.0 * seconds;
            frames[++film.frame % FRAMES] = (frame){.key = key};
        }
    }
    static double credit;
    credit = film.layer < 0 ? 0 : credit + 2.5 * options.layers[film.layer] / 8000.0;
    for (; film.waiting > 0 && credit > 0; film.waiting -= 1150, credit -= 1150) {
        if (queue_tail - queue_head == WAITING)
            fail("more waits than the model has room for");
        queue[queue_tail++ % WAITING] = (waiting){
            .bytes = film.waiting < 1150 ? (size_t)film.waiting + 50 : 1200,
            .frame = film.frame,
            .last = film.waiting <= 1150,
        };
    }
    send_waiting(now_ns, kbps);
    for (; repair_head != repair_tail && repairs[repair_head % REPAIRS].at_ns <= now_ns; repair_head++) {
        const repair *r = &repairs[repair_head % REPAIRS];
        if (r->layer == film.layer && film.frame - r->frame < FRAMES)
            enter(r->bytes, true, r->frame, now_ns, kbps);
    }
    credit = credit > 2400 ? 2400 : credit;
}

static void report(int64_t now_ns)
{
    size_t bytes;
    while (report_tail - report_head < 64 &&
           (bytes = kb_twcc_write(&receiver, reports[report_tail % 64].data, 1200, 1, 2)) > 0) {
        reports[report_tail % 64].bytes = bytes;
        reports[report_tail++ % 64].arrives_ns = now_ns + options.rtt_ms * MS / 2;
    }
}

static void parse(const char *argument)
{
    const char *value = strchr(argument, '=');
    if (!value)
        fail("key=value");
    value++;
    char *end;
#define IS(name) (strncmp(argument, name "=", sizeof name) == 0)
    if (IS("path")) {
        for (end = (char *)value; options.steps < STEPS && *end; options.steps++) {
            options.step_ms[options.steps] = (int)strtol(end, &end, 10);
            options.step_kbps[options.steps] = (int)strtol(end + 1, &end, 10);
            end += *end == ',';
        }
    } else if (IS("layers")) {
        end = (char *)value;
        for (int i = 0; i < KB_ALLOCATION_LAYERS; i++) {
            options.layers[i] = *end ? (uint32_t)strtoul(end, &end, 10) * 1000 : 0;
            end += *end == ',';
        }
    } else {
        int number = (int)strtol(value, &end, 10);
        if (IS("seconds"))
            options.seconds = number;
        else if (IS("queue_ms"))
            options.queue_ms = number;
        else if (IS("rtt_ms"))
            options.rtt_ms = number;
        else if (IS("loss"))
            options.loss = number;
        else if (IS("cross"))
            options.cross = number;
        else if (IS("jitter_ms"))
            options.jitter_ms = number;
        else if (IS("pause_ms"))
            options.pause_ms = number;
        else if (IS("feedback"))
            options.feedback = number;
        else if (IS("seed"))
            state = (uint64_t)number;
        else
            fail(argument);
    }
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        parse(argv[i]);
    kb_bwe_init(&bwe, NULL, BEGIN_NS);
    kb_twcc_history_init(&history);
    kb_twcc_receiver_init(&receiver);
    kb_allocation allocation = {0};
    kb_allocation_slot slot = {.limit = 255, .current = -1};
    memcpy(slot.layer_bps, options.layers, sizeof slot.layer_bps);
    uint32_t good = 0;
    uint32_t before_bps = 0;
    double cross_bits = 0;
    for (int64_t ms = 0; ms < options.seconds * 1000; ms++) {
        int64_t now_ns = BEGIN_NS + ms * MS;
        double kbps = rate_kbps(ms);
        queue_bits = queue_bits > kbps ? queue_bits - kbps : 0;
        if (options.cross && ms % 4000 < 2000 && (cross_bits += options.cross) >= 9600) {
            cross_bits -= 9600;
            if ((queue_bits + 9600) / kbps <= options.queue_ms)
                queue_bits += 9600;
        }
        deliver(now_ns);
        if (ms % 50 == 37 && options.feedback)
            report(now_ns);
        if (ms % 10 == 0) {
            if (pacer.slots)
                kb_bwe_postpone(&bwe, now_ns);
            if (pacer.slots && now_ns - pacer.behind_ns > KB_PACER_BEHIND_NS)
                kb_bwe_doubt(&bwe, now_ns);
            kb_bwe_advance(&bwe, now_ns);
            if (kb_bwe_deadline(&bwe) <= now_ns)
                fail("advance did not move the deadline");
            kb_pacer before = pacer;
            for (size_t bytes; (bytes = kb_bwe_padding(&bwe, now_ns)) > 0;)
                enter((bytes < 1000 ? bytes : 1000) + 45, true, 0, now_ns, kbps);
            pacer = before;
        }
        if (ms % 20 == 0)
            enter(205, true, 0, now_ns, kbps); /* Opus at 64 kb/s */
        if (ms % 100 == 0 || kb_bwe_bps(&bwe) < before_bps) {
            for (int i = 0; i < KB_ALLOCATION_LAYERS; i++) /* as it measures them */
                slot.layer_bps[i] = (uint32_t)(options.layers[i] * (0.9 + 0.2 * (next_random() % 1000) / 1000.0));
            kb_allocate(&allocation, kb_bwe_bps(&bwe), 90000, &slot, 1, bwe.probes_good != good, now_ns);
            good = bwe.probes_good;
            slot.current = slot.target;
            kb_bwe_want(&bwe, kb_allocation_wanted(&slot, 1, 90000));
        }
        before_bps = kb_bwe_bps(&bwe);
        shoot(slot.current, ms, now_ns, kbps);
        if (ms % 100 == 99) {
            printf("%lld %u %llu %llu %.0f %d %llu %d %u %u %lld\n", (long long)ms + 1, kb_bwe_bps(&bwe) / 1000,
                   (unsigned long long)entered * 8 / 100, (unsigned long long)left * 8 / 100, queue_bits / kbps,
                   slot.current, (unsigned long long)lost, (int)bwe.trend.usage, bwe.probes, bwe.probes_good,
                   (long long)(now_ns - shown_ns) / MS);
            entered = left = lost = 0;
        }
    }
    return 0;
}
