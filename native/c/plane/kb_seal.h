/* How a packet is protected: by whom and with which context. Who owns the context calls `kb_seal_apply`, one thread. */
#ifndef KB_SEAL_H
#define KB_SEAL_H

#include "kb_gcm.h"
#include "kb_srtp_table.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum kb_seal_kind {
    KB_SEAL_GCM = 1, /* RTP by `kb_gcm` */
    KB_SEAL_RTP,     /* by libsrtp */
    KB_SEAL_RTCP,
} kb_seal_kind;

/* What SRTCP adds besides the tag: E flag and index (RFC 3711 §3.4). */
#define KB_SEAL_RTCP_INDEX_BYTES 4

typedef struct kb_seal {
    void *context;       /* kb_gcm or libsrtp's */
    kb_gcm_index *index; /* of the packet's SSRC, KB_SEAL_GCM only */
    uint16_t header_bytes; /* stay in the clear, KB_SEAL_GCM only */
    uint8_t kind;
} kb_seal;

/* Protects in place, with room for the tag behind; false when the packet must not be sent. */
static inline bool kb_seal_apply(const kb_srtp_table *srtp, const kb_seal *seal, uint8_t *packet, int *bytes)
{
    switch ((kb_seal_kind)seal->kind) {
    case KB_SEAL_GCM:
        return kb_gcm_protect(seal->context, seal->index, packet, seal->header_bytes, bytes);
    case KB_SEAL_RTP:
        return srtp->protect(seal->context, packet, bytes) == KB_SRTP_OK;
    case KB_SEAL_RTCP:
        return srtp->protect_rtcp(seal->context, packet, bytes) == KB_SRTP_OK;
    }
    return false;
}

#endif
