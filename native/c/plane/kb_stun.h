/* STUN for an ICE-lite end (RFC 8489, RFC 8445): binding requests in, signed answers out.
 *
 * Parsing is a pure function on bytes; nothing of a message is believed before `kb_stun_verify`.
 */
#ifndef KB_STUN_H
#define KB_STUN_H

#include "kb_address.h"
#include "kb_srtp_table.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KB_STUN_BINDING_REQUEST 0x0001
#define KB_STUN_MAX_UNKNOWN 8
/* Large enough for every answer below. */
#define KB_STUN_ANSWER_BYTES 160

typedef struct kb_stun_message {
    uint16_t type;
    const uint8_t *transaction; /* 12 bytes, inside the message */
    const uint8_t *username;    /* NULL when absent; not terminated */
    uint16_t username_bytes;
    uint16_t integrity_at; /* offset of the MESSAGE-INTEGRITY attribute, 0 when absent */
    bool use_candidate;
    bool controlled; /* the sender claims the role that a lite end always has */
    uint16_t unknown[KB_STUN_MAX_UNKNOWN];
    uint8_t unknown_count; /* comprehension-required attributes we do not know */
} kb_stun_message;

enum {
    KB_STUN_MALFORMED = -1,
    KB_STUN_BAD_FINGERPRINT = -2,
};

/* Returns 0 or a negative status. Attributes after MESSAGE-INTEGRITY are ignored, as RFC 8489 §14.5 demands. */
int kb_stun_parse(const uint8_t *data, size_t size, kb_stun_message *out);

/* Tells in constant time whether the message (of any size ≤ 1500) is signed with `password`. */
bool kb_stun_verify(const kb_crypto *crypto, const uint8_t *data, const kb_stun_message *message,
                    const uint8_t *password, size_t password_bytes);

/* Both write a signed answer with FINGERPRINT into `out` (KB_STUN_ANSWER_BYTES) and return its size. */
size_t kb_stun_success(const kb_crypto *crypto, uint8_t *out, const kb_stun_message *request,
                       const kb_address *mapped, const uint8_t *password, size_t password_bytes);
/* `code` 420 lists the request's unknown attributes; 487 is a role conflict. */
size_t kb_stun_error(const kb_crypto *crypto, uint8_t *out, const kb_stun_message *request, int code,
                     const uint8_t *password, size_t password_bytes);

int kb_fuzz_stun(const uint8_t *data, size_t size);

#endif
