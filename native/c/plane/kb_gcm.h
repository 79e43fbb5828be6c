/* SRTP's AES-128-GCM for what goes out (RFC 7714), over OpenSSL's EVP: one context per peer, where libsrtp walks from
 * session to stream to cipher, all of them cold at 50 packets a second. The framing is ours, the cipher is OpenSSL's;
 * everything else of SRTP (what comes in, SRTCP, retransmissions under SSRCs of their own) is libsrtp's.
 *
 * A nonce that is used twice gives the key away, so an index never is: `kb_gcm_index` refuses it, as libsrtp does with
 * allow_repeat_tx = 0. One index per SSRC and key; an SSRC is never given to a second slot of a peer.
 */
#ifndef KB_GCM_H
#define KB_GCM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KB_GCM_TAG_BYTES 16
#define KB_GCM_MASTER_BYTES (16 + 12) /* key ‖ salt */
#define KB_GCM_WINDOW 256u            /* packets that may come late */

typedef struct kb_gcm_table {
    void *(*context_new)(void);
    void (*context_free)(void *context);
    int (*init)(void *context, const void *cipher, void *engine, const uint8_t *key, const uint8_t *iv);
    int (*update)(void *context, uint8_t *out, int *out_bytes, const uint8_t *in, int in_bytes);
    int (*final)(void *context, uint8_t *out, int *out_bytes);
    int (*control)(void *context, int type, int argument, void *pointer);
    const void *gcm, *ctr; /* AES-128 */
} kb_gcm_table;

/* OpenSSL's functions out of a dlopen handle; −1 and *missing = the name of one that is not there. */
int kb_gcm_resolve(kb_gcm_table *table, void *handle, const char **missing);

typedef struct kb_gcm {
    const kb_gcm_table *table;
    void *context;
    uint8_t salt[12];
} kb_gcm;

/* From the master key and salt of DTLS-SRTP (RFC 3711 §4.3); NULL without memory or when OpenSSL refuses. */
kb_gcm *kb_gcm_new(const kb_gcm_table *table, const uint8_t master[KB_GCM_MASTER_BYTES]);
void kb_gcm_free(kb_gcm *gcm);

/* Which packets of one SSRC have gone: 48-bit indices, of which the wire shows 16 bits. Zeroed memory is a start. */
typedef struct kb_gcm_index {
    bool started;
    uint64_t highest;
    uint64_t used[KB_GCM_WINDOW / 64]; /* bit index % KB_GCM_WINDOW */
} kb_gcm_index;

/* The index of a packet with this number, marked as used; −1 when it was used, is too late, or there are no more. */
int64_t kb_gcm_take(kb_gcm_index *index, uint16_t sequence);

/* Encrypts an RTP packet of *bytes in place behind its header and appends the tag, for which there is room; false when
 * it must not be sent. */
bool kb_gcm_protect(kb_gcm *gcm, kb_gcm_index *index, uint8_t *packet, size_t header_bytes, int *bytes);

#endif
