#include "kb_engine.h"

#include <string.h>

/* A talker who has sent nothing for 2 s does not hold the tick where it suits them. */
#define ACTIVE_TICKS 100
#define MAX_MISSED_FRAMES 20 /* 400 ms, the most a jitter buffer lets a packet wait */

static kb_source *source_at(const kb_engine *engine, uint32_t number)
{
    kb_source *source = engine->sources[number % KB_MAX_SOURCES];
    return source && source->number == number ? source : NULL;
}

static kb_row *row_at(const kb_engine *engine, uint32_t number)
{
    kb_row *row = engine->rows[number % KB_MAX_ROWS];
    return row && row->number == number ? row : NULL;
}

/* 0 when the control side has not made room; the caller keeps the thing and tries again. */
static int give_back(kb_engine *engine, kb_spent_kind kind, void *pointer)
{
    kb_spent *spent = kb_ring_claim(&engine->spent);
    if (!spent)
        return 0;
    *spent = (kb_spent){kind, pointer};
    kb_ring_publish(&engine->spent);
    return 1;
}

/* ---- commands and plans ------------------------------------------------------------------------------------- */

static void add_source(kb_engine *engine, kb_source *source)
{
    const uint32_t index = source->number % KB_MAX_SOURCES;
    engine->sources[index] = source;
    if (index >= engine->source_end)
        engine->source_end = index + 1;
}

static void add_row(kb_engine *engine, kb_row *row)
{
    const uint32_t index = row->number % KB_MAX_ROWS;
    engine->rows[index] = row;
    if (index >= engine->row_end)
        engine->row_end = index + 1;
}

/* The rows that followed this one's encoder go on from where it stands: the first of them leads the others. */
static void bequeath(kb_engine *engine, const kb_row *row)
{
    kb_row *heir = NULL;
    for (uint32_t i = 0; i < engine->row_end; i++) {
        kb_row *follower = engine->rows[i];
        if (!follower || follower == row || follower->leader != row)
            continue;
        if (!heir) {
            heir = follower;
            kb_row_clone(heir, row);
        }
        follower->leader = heir;
    }
}

static void remove_row(kb_engine *engine, uint32_t number)
{
    kb_row *row = row_at(engine, number);
    if (!row)
        return;
    bequeath(engine, row);
    engine->rows[number % KB_MAX_ROWS] = NULL;
    /* The ring has a slot for every row, source and plan that can be alive: see kb_engine_new. */
    give_back(engine, KB_SPENT_ROW, row);
}

static void obey(kb_engine *engine, const kb_command *command)
{
    kb_source *source = source_at(engine, command->number);
    switch (command->kind) {
    case KB_ADD_SOURCE:
        add_source(engine, command->pointer);
        break;
    case KB_REMOVE_SOURCE:
        if (source)
            source->is_leaving = 1;
        break;
    case KB_ADD_ROW:
        add_row(engine, command->pointer);
        break;
    case KB_REMOVE_ROW:
        remove_row(engine, command->number);
        break;
    case KB_PLAY_CLIP:
        if (source && source->is_clip)
            kb_clip_play(&source->clip, command->flags & 1u, (command->flags & 2u) != 0);
        break;
    }
}

/* The sources of a plan row that are still there; 0 … count. */
static uint32_t resolve(const kb_engine *engine, const uint32_t *numbers, uint32_t count, kb_source **sources)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < count; i++) {
        kb_source *source = source_at(engine, numbers[i]);
        if (source && !source->is_leaving)
            sources[found++] = source;
    }
    return found;
}

static void take_plan(kb_engine *engine, const kb_plan *plan)
{
    uint8_t is_named[KB_MAX_ROWS] = {0};
    for (uint32_t i = 0; i < plan->row_count; i++) {
        const kb_plan_row *planned = &plan->rows[i];
        kb_row *row = row_at(engine, planned->row);
        if (!row)
            continue;
        kb_source *floor[KB_ROW_SOURCES], *interpreters[KB_ROW_SOURCES];
        const uint32_t *numbers = plan->numbers + planned->first;
        const uint32_t floor_count = resolve(engine, numbers, planned->floor_count, floor);
        const uint32_t interpreter_count =
            resolve(engine, numbers + planned->floor_count, planned->interpreter_count, interpreters);
        kb_row_plan(row, floor, floor_count, interpreters, interpreter_count, engine->tick + 1);
        if (!row->leader)
            kb_row_end_ramps(row); /* nobody heard what it was before */
        kb_ducking_configure(&row->ducking, &planned->ducking);
        row->is_heard = planned->is_heard;
        row->loss_percent = planned->loss_percent;
        is_named[planned->row % KB_MAX_ROWS] = 1;
    }
    for (uint32_t i = 0; i < engine->row_end; i++) {
        if (!engine->rows[i] || is_named[i])
            continue;
        kb_row_plan(engine->rows[i], NULL, 0, NULL, 0, engine->tick + 1);
        engine->rows[i]->is_heard = 0;
    }
}

void kb_engine_absorb(kb_engine *engine)
{
    if (engine->spent_plan && give_back(engine, KB_SPENT_PLAN, engine->spent_plan))
        engine->spent_plan = NULL;
    /* The plan first: whatever it names was commanded before it was published, so the ring has it by now. */
    kb_plan *plan = engine->spent_plan ? NULL : atomic_exchange(&engine->next_plan, NULL);
    const kb_command *command;
    while ((command = kb_ring_peek(&engine->commands))) {
        obey(engine, command);
        kb_ring_release(&engine->commands);
    }
    if (!plan)
        return;
    take_plan(engine, plan);
    if (!give_back(engine, KB_SPENT_PLAN, plan))
        engine->spent_plan = plan;
}

/* ---- one tick ----------------------------------------------------------------------------------------------- */

static void receive(kb_engine *engine)
{
    const kb_bus_packet *packet;
    while ((packet = kb_ring_peek(&engine->bus->to_mix))) {
        kb_source *source = source_at(engine, packet->number);
        if (!source || source->is_clip || source->is_leaving || packet->payload_bytes > KB_BUS_PAYLOAD_BYTES) {
            kb_count(&engine->counters.unknown_source_packets, 1);
        } else {
            const kb_stream_packet header = {
                .at_ns = packet->at_ns,
                .ssrc = packet->ssrc,
                .timestamp = packet->rtp_timestamp,
                .sequence = packet->sequence,
                .bytes = packet->payload_bytes,
                .level = packet->audio_level,
                .delay_us = packet->delay_us,
            };
            kb_count(&engine->counters.source_packets, 1);
            if (kb_stream_receive(&source->stream, &header, packet->payload))
                source->voiced_tick = engine->tick;
        }
        kb_ring_release(&engine->bus->to_mix);
    }
}

/* Marks the sources that a heard row needs, and fades out of all rows those that are leaving. */
static void mark_sources(kb_engine *engine)
{
    uint8_t is_used[KB_MAX_SOURCES] = {0};
    for (uint32_t i = 0; i < engine->source_end; i++)
        if (engine->sources[i])
            engine->sources[i]->is_wanted = 0;
    for (uint32_t i = 0; i < engine->row_end; i++) {
        kb_row *row = engine->rows[i];
        for (uint32_t e = 0; row && e < row->entry_count; e++) {
            kb_source *source = row->entries[e].source;
            source->is_wanted |= row->is_heard;
            is_used[source->number % KB_MAX_SOURCES] = 1;
            if (source->is_leaving)
                row->entries[e].target = 0.0f;
        }
    }
    for (uint32_t i = 0; i < engine->source_end; i++) {
        kb_source *source = engine->sources[i];
        if (source && source->is_leaving && !is_used[i]) {
            engine->sources[i] = NULL;
            give_back(engine, KB_SPENT_SOURCE, source);
        }
    }
}

static void render_sources(kb_engine *engine, int64_t now_ns)
{
    for (uint32_t i = 0; i < engine->source_end; i++) {
        kb_source *source = engine->sources[i];
        if (!source)
            continue;
        const uint64_t before = source->stream.counts.decodes;
        kb_source_render(source, now_ns, engine->tick);
        if (source->is_wanted && source->voiced_tick + ACTIVE_TICKS > engine->tick)
            kb_phase_tell(&engine->phase, kb_source_spare_ms(source, now_ns + KB_TICK_NS));
        kb_count(&engine->counters.decodes, source->stream.counts.decodes - before);
    }
}

static kb_row *leader_for(kb_engine *engine, uint32_t leader_count, const kb_row *row)
{
    for (uint32_t i = 0; i < leader_count; i++)
        if (kb_row_equals(row, engine->leaders[i]))
            return engine->leaders[i];
    return NULL;
}

/* Every heard row gets the row whose encoder serves it. Those that encoded in the last tick choose first: a stream
 * changes its encoder only when its own leader's mix became another. Returns how many encode. */
static uint32_t assign_leaders(kb_engine *engine)
{
    uint32_t count = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (uint32_t i = 0; i < engine->row_end; i++) {
            kb_row *row = engine->rows[i];
            if (!row || (row->leader != row) != pass)
                continue;
            row->next_leader = NULL;
            if (!row->is_heard)
                continue;
            kb_row *leader = leader_for(engine, count, row);
            if (!leader)
                leader = engine->leaders[count++] = row;
            row->next_leader = leader;
        }
    }
    return count;
}

/* Before anything is encoded: new leaders take over the encoder they followed, or a clean one. */
static void hand_over_encoders(kb_engine *engine, uint32_t leader_count)
{
    for (uint32_t i = 0; i < leader_count; i++) {
        kb_row *row = engine->leaders[i];
        if (row->leader && row->leader != row)
            kb_row_clone(row, row->leader);
    }
    for (uint32_t i = 0; i < leader_count; i++)
        if (!engine->leaders[i]->leader)
            kb_row_reset(engine->leaders[i], &engine->opus);
    for (uint32_t i = 0; i < engine->row_end; i++)
        if (engine->rows[i])
            engine->rows[i]->leader = engine->rows[i]->next_leader;
}

/* 1 when the packet went out. */
static int send(kb_engine *engine, const kb_row *row, int64_t now_ns)
{
    const kb_row *leader = row->leader;
    if (leader->packet_bytes <= 0)
        return 0;
    kb_bus_packet *packet = kb_ring_claim(&engine->bus->from_mix);
    if (!packet) {
        kb_count(&engine->counters.dropped_packets, 1);
        return 0;
    }
    packet->at_ns = now_ns;
    packet->number = row->track;
    packet->rtp_timestamp = engine->timestamp;
    packet->ssrc = 0;
    packet->sequence = 0;
    packet->payload_bytes = (uint16_t)leader->packet_bytes;
    packet->audio_level = leader->level;
    packet->marker = 0;
    memset(packet->reserved, 0, sizeof packet->reserved);
    packet->delay_us = kb_row_delay_us(leader);
    memcpy(packet->payload, leader->packet, (size_t)leader->packet_bytes);
    kb_ring_publish(&engine->bus->from_mix);
    kb_count(&engine->counters.row_packets, 1);
    return 1;
}

/* The leader's packet for it and for all that follow it; 1 when one went out. */
static int send_all(kb_engine *engine, kb_row *leader, int64_t now_ns)
{
    int has_sent = 0;
    for (uint32_t i = 0; i < engine->row_end; i++) {
        kb_row *row = engine->rows[i];
        if (!row || row->leader != leader)
            continue;
        if (row != leader)
            kb_row_follow(row, leader);
        has_sent |= send(engine, row, now_ns);
    }
    return has_sent;
}

/* One encoder serves all of them, so it makes copies for the worst. */
static uint8_t expected_loss(const kb_engine *engine, const kb_row *leader)
{
    uint8_t most = 0;
    for (uint32_t i = 0; i < engine->row_end; i++) {
        const kb_row *row = engine->rows[i];
        if (row && row->leader == leader && row->loss_percent > most)
            most = row->loss_percent;
    }
    return most;
}

static void render_rows(kb_engine *engine, int64_t now_ns)
{
    for (uint32_t i = 0; i < engine->row_end; i++)
        if (engine->rows[i])
            kb_row_advance(engine->rows[i]);
    const uint32_t leader_count = assign_leaders(engine);
    hand_over_encoders(engine, leader_count);

    for (uint32_t i = 0; i < engine->row_end; i++)
        if (engine->rows[i] && !engine->rows[i]->leader)
            kb_row_skip(engine->rows[i]);
    for (uint32_t i = 0; i < leader_count; i++) {
        kb_row *leader = engine->leaders[i];
        kb_row_render(leader);
        kb_row_set_voice(leader, &engine->opus, kb_effort_complexity(&engine->effort),
                         expected_loss(engine, leader));
        if (kb_row_encode(leader, &engine->opus) > 0)
            kb_count(&engine->counters.encodes, 1);
        else
            kb_count(&engine->counters.encode_errors, 1);
        /* At once, not when all are encoded: the plane sends one language while the next is made, and the packets of a
         * frame are spread over the time that the encoders take (0.1 to 0.2 ms each) at no delay. */
        if (send_all(engine, leader, now_ns))
            kb_wake_tell(&engine->bus->wake);
    }
}

void kb_engine_tick(kb_engine *engine, int64_t now_ns)
{
    kb_engine_absorb(engine);
    int64_t frames = engine->last_ns ? (now_ns - engine->last_ns + KB_TICK_NS / 2) / KB_TICK_NS : 1;
    frames = frames < 1 ? 1 : frames;
    engine->timestamp += (uint32_t)(frames * KB_FRAME);
    kb_count(&engine->counters.skipped_frames, (uint64_t)(frames - 1));
    engine->last_ns = now_ns;
    engine->tick++;
    kb_count(&engine->counters.ticks, 1);
    receive(engine);
    mark_sources(engine);
    /* Sources run on through skipped frames: held back, their words would be 20 ms later for good after each. Beyond
     * what a jitter buffer holds there is nothing left to leave out. */
    const int64_t missed = frames - 1 < MAX_MISSED_FRAMES ? frames - 1 : MAX_MISSED_FRAMES;
    for (int64_t frame = missed; frame > 0; frame--)
        render_sources(engine, now_ns - frame * KB_TICK_NS);
    kb_phase_begin(&engine->phase);
    render_sources(engine, now_ns);
    render_rows(engine, now_ns);
}

int64_t kb_engine_next_ns(const kb_engine *engine, int64_t now_ns)
{
    return now_ns + KB_TICK_NS + kb_phase_move_ns(&engine->phase);
}
