/* The memory that video takes: allocated by the control thread with the track or the slot, used by the plane thread
 * alone, freed by the control thread when the removal has been applied. Zeroed memory is a valid start. */
#ifndef KB_VIDEO_H
#define KB_VIDEO_H

#include "kb_codec.h"
#include "kb_loss.h"
#include "kb_red.h"
#include "kb_remap.h"
#include "kb_rtp.h"

#define KB_LAYERS 3
/* A second and more at 4 Mb/s; resends are no older. Powers of two: the place is the sequence number's low bits. */
#define KB_STORED_PACKETS 512u
#define KB_SENT_PACKETS 512u
#define KB_STORED_BYTES 1500

/* Sound that came as a copy is for those who cannot take the copies themselves; when its own packet comes after all,
 * it is for the others. */
typedef enum kb_audience { KB_FOR_ALL, KB_FOR_PLAIN, KB_FOR_RED } kb_audience;

/* One packet on its way through the plane, whoever it comes from. */
typedef struct kb_media {
    const uint8_t *packet; /* what the extensions' offsets count from */
    const uint8_t *payload;
    size_t bytes;
    kb_remap_in rtp;
    kb_rtp_extensions extensions;
    kb_frame_info frame;
    const kb_red *red; /* the copies that came with it, NULL = none; `payload` is the packet alone */
    uint8_t codec;
    uint8_t layer;
    uint8_t audience;
    bool marker;
} kb_media;

typedef struct kb_stored {
    bool used;
    kb_media media; /* its pointers point into `data` */
    uint8_t data[KB_STORED_BYTES];
} kb_stored;

/* What a video layer needs beyond audio: 0.9 MB, touched only as packets come. */
typedef struct kb_video_layer {
    kb_loss loss;
    kb_stored stored[KB_STORED_PACKETS];
} kb_video_layer;

/* What became of one outgoing sequence number, so that it can be sent again as it was. */
typedef struct kb_sent {
    int64_t sent_ns; /* 0 = nothing here */
    int64_t resent_ns;
    uint32_t track;
    uint32_t timestamp;
    uint16_t sequence;
    uint16_t source_sequence;
    uint16_t picture;
    uint16_t frame_number;
    uint8_t tl0;
    uint8_t layer;
    bool marker;
} kb_sent;

/* Bytes of the last second in tenths: what may be sent again is what was sent. */
#define KB_BUDGET_PARTS 10
typedef struct kb_budget {
    int64_t part; /* number of the tenth that is being filled */
    uint32_t media[KB_BUDGET_PARTS];
    uint32_t resent[KB_BUDGET_PARTS];
} kb_budget;

/* 20 kB, touched as packets go. */
typedef struct kb_video_slot {
    kb_budget budget;
    uint16_t probed; /* counts what probes repeated */
    kb_sent sent[KB_SENT_PACKETS];
} kb_video_slot;

#endif
