/* The mixing code without Python, for sanitizers. Argument: the path of a libopus; without one, or with one that
 * does not open, the engine's part is left out. Prints one line per part; exits non-zero at the first failure. */
#include "kb_engine.h"
#include "kb_guard.h"
#include "kb_kernels.h"
#include "kb_rider.h"

#include <dlfcn.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CHECK(condition)                                                                                       \
    do {                                                                                                       \
        if (!(condition)) {                                                                                    \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                    \
            exit(1);                                                                                           \
        }                                                                                                      \
    } while (0)

static uint64_t seed = 0x9e3779b97f4a7c15u;

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static float noise(uint64_t *state)
{
    return (float)(next_random(state) >> 40) / (float)(1 << 23) - 1.0f;
}

static void kernels(void)
{
    kb_mix_ramp(NULL, NULL, 0, 0.0f, 1.0f);
    kb_apply_ramp(NULL, 0, 0.0f, 1.0f);
    CHECK(kb_energy(NULL, 0) == 0.0f);
    CHECK(kb_peak(NULL, 0) == 0.0f);
    CHECK(kb_level_db(0.0f, 0) == -127.0f);
    for (size_t n = 1; n < 200; n++) {
        float *out = calloc(n, sizeof *out), *src = malloc(n * sizeof *src);
        double energy = 0.0;
        for (size_t i = 0; i < n; i++) {
            src[i] = noise(&seed);
            energy += (double)src[i] * (double)src[i];
        }
        kb_mix_ramp(out, src, n, 0.25f, 0.75f);
        const float step = 0.5f / (float)n;
        for (size_t i = 0; i < n; i++)
            CHECK(fabsf(out[i] - src[i] * (0.25f + step * (float)i)) < 1e-6f);
        CHECK(fabs((double)kb_energy(src, n) - energy) < 1e-4);
        CHECK(kb_all_within(src, n, 1.0f));
        src[n - 1] = NAN;
        CHECK(!kb_all_within(src, n, 8.0f));
        free(out);
        free(src);
    }
    puts("kernels: ok");
}

static void limiter(void)
{
    kb_limiter limiter;
    kb_limiter_reset(&limiter);
    for (int block = 0; block < 300; block++) {
        const size_t n = 1 + next_random(&seed) % KB_LIMITER_MAX_BLOCK;
        float *samples = malloc(n * sizeof *samples);
        const float gain = block % 3 ? 4.0f : 0.1f;
        for (size_t i = 0; i < n; i++)
            samples[i] = gain * noise(&seed);
        if (block % 7 == 0)
            kb_limiter_lower(&limiter, block % 14 ? 3.0f : 0.0f, (uint32_t)(next_random(&seed) % 2000));
        kb_limiter_run(&limiter, samples, n);
        CHECK(kb_limiter_equals(&limiter, &limiter));
        CHECK(kb_peak(samples, n) <= 0.8913f);
        free(samples);
    }
    puts("limiter: ok");
}

/* Any numbers, and what is none, in blocks of any length that is allowed: what comes out is always a number. */
static void dynamics(void)
{
    static const float bad[] = {NAN, INFINITY, -INFINITY, 3e38f, 1e-42f};
    kb_rider rider;
    kb_rider_init(&rider, &KB_RIDER_DEFAULTS);
    kb_guard guard;
    kb_guard_init(&guard, &KB_GUARD_DEFAULTS, 0.0);
    for (int block = 0; block < 2000; block++) {
        const size_t n = KB_LOUDNESS_STEP * (1 + next_random(&seed) % 8);
        float *samples = malloc(n * sizeof *samples);
        const float gain = powf(10.0f, -4.0f * (float)(next_random(&seed) % 100) / 100.0f);
        for (size_t i = 0; i < n; i++)
            samples[i] = gain * noise(&seed);
        if (block % 10 == 0)
            samples[next_random(&seed) % n] = bad[next_random(&seed) % 5];
        if (block % 500 == 0)
            kb_rider_configure(&rider, &(kb_rider_settings){-20.0f, block % 1000 ? 0.0f : 12.0f});
        kb_rider_run(&rider, samples, n);
        CHECK(kb_all_within(samples, n, 4.0f));
        CHECK(fabsf(rider.gain_db) <= 12.0f);
        samples[0] = bad[next_random(&seed) % 5];
        if (block % 300 == 0)
            kb_guard_configure(&guard, &(kb_guard_settings){block % 600 ? 110.0f : 94.0f, -20.0f});
        kb_guard_run(&guard, samples, n);
        CHECK(kb_all_within(samples, n, 0.8913f));
        CHECK(kb_guard_read(&guard).l_ex_db < 70.0);
        free(samples);
    }
    kb_dose dose;
    kb_dose_init(&dose, 0.0);
    int warnings = 0;
    for (int second = 0; second < 8 * 3600; second++)
        warnings += kb_dose_add(&dose, pow(10.0, 8.05), 48000);
    CHECK(warnings == 16); /* at 60 s, then every half an hour: 7 h 30 min and 60 s is the last */
    CHECK(fabs(kb_dose_l_ex_db(&dose) - 80.5) < 0.001);
    CHECK(fabs(kb_dose_percent(&dose, 80.5) - 100.0) < 0.001);
    puts("dynamics: ok");
}

static void ducking(void)
{
    kb_ducking ducking;
    kb_ducking_init(&ducking, &(kb_ducking_settings){-18.0f, 60, 200, 300, -12.0f, 150});
    float gains[101], last = 1.0f;
    for (int i = 0; i < 5000; i++) {
        kb_ducking_receive(&ducking, (kb_ducking_input)(next_random(&seed) % KB_DUCKING_INPUTS));
        const int32_t ms = (int32_t)(next_random(&seed) % 100);
        kb_ducking_advance(&ducking, ms, gains);
        CHECK(fabsf(gains[0] - last) < 1e-6f);
        last = gains[ms];
        CHECK(last > 0.125f && last <= 1.0f);
    }
    puts("ducking: ok");
}

static void jitter(void)
{
    kb_jitter *buffer = malloc(sizeof *buffer);
    const uint8_t payload[KB_JITTER_PAYLOAD_BYTES] = {0};
    for (int round = 0; round < 20; round++) {
        kb_jitter_init(buffer, &KB_JITTER_DEFAULTS);
        int64_t now = 1000000000LL;
        uint32_t timestamp = (uint32_t)next_random(&seed);
        uint16_t sequence = (uint16_t)next_random(&seed);
        for (int i = 0; i < 3000; i++) {
            const uint64_t dice = next_random(&seed);
            const int is_wild = dice % 50 == 0;
            kb_jitter_packet packet = {
                .at_ns = now,
                .ssrc = dice % 997 == 0 ? (uint32_t)dice : 1u,
                .timestamp = is_wild ? (uint32_t)(dice >> 32) : timestamp,
                .sequence = dice % 71 == 0 ? (uint16_t)(dice >> 16) : sequence,
                .bytes = (uint16_t)(dice % KB_JITTER_PAYLOAD_BYTES),
                .samples = (uint16_t)(120u << (dice % 6)),
                .has_fec = (uint8_t)(dice & 1u),
            };
            timestamp += packet.samples;
            sequence++;
            if (dice % 10 != 3)
                kb_jitter_receive(buffer, &packet, payload);
            now += (int64_t)(dice % 45) * 1000000LL;
            kb_jitter_wish(buffer, now, 0, 960);
            int32_t left = 960;
            for (int steps = 0; left > 0; steps++) {
                const kb_jitter_step step = kb_jitter_poll(buffer, now, left);
                CHECK(step.samples >= 0 && step.samples + step.skipped_samples <= 5760);
                CHECK(steps < 1000);
                left -= step.samples;
            }
            CHECK(kb_jitter_buffered(buffer) >= 0);
        }
    }
    free(buffer);
    puts("jitter: ok");
}

/* ---- the engine ----------------------------------------------------------------------------------------------- */

typedef struct wire {
    kb_bus *bus;
    const kb_opus_table *opus;
    _Atomic uint32_t source;
    _Atomic int must_stop;
    uint64_t sent, received;
} wire;

static void wait_ms(long ms)
{
    const struct timespec pause = {0, ms * 1000000L};
    nanosleep(&pause, NULL);
}

static int64_t clock_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

/* Where the plane would be: sends packets to the source of the moment, junk among them, and takes what comes. */
static void *run_wire(void *argument)
{
    wire *plane = argument;
    uint64_t state = 77;
    void *encoder = malloc((size_t)plane->opus->encoder_bytes(1));
    CHECK(kb_opus_voice_init(plane->opus, encoder, &(kb_opus_voice){48000, 0, 5}) == 0);
    float sound[KB_FRAME];
    for (uint16_t sequence = 0; !atomic_load(&plane->must_stop); sequence++) {
        for (size_t i = 0; i < KB_FRAME; i++)
            sound[i] = 0.1f * noise(&state);
        kb_bus_packet *packet = kb_ring_claim(&plane->bus->to_mix);
        if (packet) {
            packet->at_ns = clock_now();
            packet->number = atomic_load(&plane->source);
            packet->rtp_timestamp = sequence * 960u;
            packet->ssrc = 1;
            packet->sequence = sequence;
            packet->audio_level = 0x7f;
            int32_t bytes = plane->opus->encode(encoder, sound, KB_FRAME, packet->payload, 1275);
            CHECK(bytes > 0);
            if (next_random(&state) % 7 == 0) {
                bytes = (int32_t)(next_random(&state) % KB_BUS_PAYLOAD_BYTES);
                for (int32_t i = 0; i < bytes; i++)
                    packet->payload[i] = (uint8_t)next_random(&state);
            }
            packet->payload_bytes = (uint16_t)bytes;
            kb_ring_publish(&plane->bus->to_mix);
            plane->sent++;
        }
        while (kb_ring_peek(&plane->bus->from_mix)) {
            kb_ring_release(&plane->bus->from_mix);
            plane->received++;
        }
        wait_ms(5);
    }
    free(encoder);
    return NULL;
}

static kb_plan *plan_of(const uint32_t *rows, uint32_t row_count, uint32_t floor, uint32_t interpreter)
{
    kb_plan *plan = kb_plan_new(row_count, 2 * row_count);
    CHECK(plan);
    for (uint32_t i = 0; i < row_count; i++) {
        const kb_ducking_settings ducking = {-18.0f, 60, 100, 100, -12.0f, 100};
        plan->rows[i] = (kb_plan_row){rows[i], 2 * i, 1, i == 0 && interpreter, 1, 5, ducking};
        plan->numbers[2 * i] = floor;
        plan->numbers[2 * i + 1] = interpreter;
    }
    return plan;
}

static void engine(void *opus_handle)
{
    const char *missing;
    kb_bus *bus = kb_bus_new();
    CHECK(bus);
    kb_engine *engine = kb_engine_new(bus, opus_handle, 0, 1, 1u, &missing);
    CHECK(engine && !missing);

    uint32_t rows[3], clip, source;
    float sound[4800];
    for (size_t i = 0; i < 4800; i++)
        sound[i] = 0.2f * noise(&seed);
    for (uint32_t i = 0; i < 3; i++)
        CHECK(kb_engine_add_row(engine, i, 48000, 0, &rows[i]) == KB_OK);
    CHECK(kb_engine_add_clip(engine, sound, 4800, 1, &clip) == KB_OK);
    CHECK(kb_engine_add_stream(engine, &source) == KB_OK);

    for (int64_t tick = 1; tick < 50; tick++) { /* in the caller's thread first */
        kb_engine_apply(engine, plan_of(rows, 3, clip, tick % 3 ? source : 0));
        kb_engine_tick(engine, tick * KB_TICK_NS);
        while (kb_ring_peek(&bus->from_mix))
            kb_ring_release(&bus->from_mix);
    }

    wire plane = {.bus = bus, .opus = &engine->opus};
    atomic_init(&plane.source, source);
    atomic_init(&plane.must_stop, 0);
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, run_wire, &plane) == 0);
    CHECK(kb_engine_start(engine) == KB_OK);
    for (int i = 0; i < 150; i++) {
        uint32_t next;
        CHECK(kb_engine_add_stream(engine, &next) == KB_OK);
        atomic_store(&plane.source, next);
        CHECK(kb_engine_play_clip(engine, clip, i % 2, i % 3 == 0) == KB_OK);
        kb_engine_apply(engine, plan_of(rows, 3, clip, next));
        const kb_row *row = kb_engine_row(engine, rows[0]);
        CHECK(atomic_load_explicit(&row->readings.mix_db, memory_order_relaxed) <= 3.0f);
        wait_ms(i % 10 == 0 ? 40 : 1);
        CHECK(kb_engine_remove_source(engine, source) == KB_OK);
        CHECK(kb_engine_remove_source(engine, source) == KB_UNKNOWN);
        source = next;
        if (i % 20 == 10) {
            CHECK(kb_engine_remove_row(engine, rows[1]) == KB_OK);
            CHECK(kb_engine_add_row(engine, 1, 48000, 0, &rows[1]) == KB_OK);
        }
    }
    CHECK(kb_engine_lateness_p99_ns(engine) > 0);
    kb_engine_stop(engine);
    atomic_store(&plane.must_stop, 1);
    pthread_join(thread, NULL);
    CHECK(plane.received > 0);
    CHECK(atomic_load(&engine->counters.encode_errors) == 0);
    kb_engine_free(engine);
    kb_bus_free(bus);
    puts("engine: ok");
}

int main(int argc, char **argv)
{
    kernels();
    limiter();
    dynamics();
    ducking();
    jitter();
    void *opus = argc > 1 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
    if (!opus) {
        puts("engine: left out, no libopus given");
        return 0;
    }
    engine(opus);
    return 0;
}
