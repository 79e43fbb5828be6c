/* libsrtp 2.x and OpenSSL by function table: prototypes and layouts are ours, the code is the wheel's.
 *
 * The Python side opens the libraries (native/libraries.py) and passes dlopen handles. tests/native compares the
 * policy layout with the one pylibsrtp was compiled with.
 */
#ifndef KB_SRTP_TABLE_H
#define KB_SRTP_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct kb_crypto {
    unsigned char *(*hmac)(const void *digest, const void *key, int key_bytes, const unsigned char *data,
                           size_t data_bytes, unsigned char *out, unsigned int *out_bytes);
    const void *(*sha1)(void);
    int (*compare)(const void *a, const void *b, size_t bytes); /* constant time */
    void (*cleanse)(void *at, size_t bytes);
    const void *digest; /* sha1() once */
} kb_crypto;

/* Returns 0, or -1 when a symbol is missing; `missing` then names it. */
int kb_crypto_resolve(kb_crypto *crypto, void *handle, const char **missing);

/* Writes 20 bytes. False only when OpenSSL fails (without memory). */
bool kb_crypto_hmac_sha1(const kb_crypto *crypto, const uint8_t *key, size_t key_bytes, const uint8_t *data,
                         size_t data_bytes, uint8_t *out);

typedef struct kb_srtp_crypto_policy {
    uint32_t cipher_type;
    int cipher_key_bytes;
    uint32_t auth_type;
    int auth_key_bytes;
    int auth_tag_bytes;
    int services;
} kb_srtp_crypto_policy;

/* srtp_policy_t of libsrtp 2.0 … 2.7. */
typedef struct kb_srtp_policy {
    int ssrc_type;
    unsigned int ssrc_value;
    kb_srtp_crypto_policy rtp;
    kb_srtp_crypto_policy rtcp;
    unsigned char *key;
    void **keys;
    unsigned long key_count;
    void *deprecated_ekt;
    unsigned long window_size;
    int allow_repeat_tx;
    int *encrypted_extensions;
    int encrypted_extension_count;
    struct kb_srtp_policy *next;
} kb_srtp_policy;

enum { /* srtp_err_status_t, the values the plane tells apart */
    KB_SRTP_OK = 0,
    KB_SRTP_AUTH_FAIL = 7,
    KB_SRTP_REPLAY_FAIL = 9,
    KB_SRTP_REPLAY_OLD = 10,
};

typedef enum kb_srtp_profile { /* the DTLS-SRTP numbers of RFC 5764 and RFC 7714 */
    KB_SRTP_AES_128_CM_SHA1_80 = 1,
    KB_SRTP_AEAD_AES_128_GCM = 7,
} kb_srtp_profile;

typedef struct kb_srtp_table {
    int (*create)(void **context, const kb_srtp_policy *policy);
    int (*dealloc)(void *context);
    int (*protect)(void *context, void *packet, int *bytes);
    int (*unprotect)(void *context, void *packet, int *bytes);
    int (*protect_rtcp)(void *context, void *packet, int *bytes);
    int (*unprotect_rtcp)(void *context, void *packet, int *bytes);
    int (*remove_stream)(void *context, unsigned int ssrc);
    void (*set_cm_sha1_80)(kb_srtp_crypto_policy *policy);
    void (*set_gcm_128)(kb_srtp_crypto_policy *policy);
} kb_srtp_table;

int kb_srtp_resolve(kb_srtp_table *table, void *handle, const char **missing);

/* Bytes of key ‖ salt, or 0 for a profile we do not speak. */
size_t kb_srtp_key_bytes(kb_srtp_profile profile);
/* The longest that protect (RTP) may add is 16 bytes, protect_rtcp 20. */
size_t kb_srtp_tag_bytes(kb_srtp_profile profile);

/* Makes a context for all SSRCs of one direction: window 1024 packets, an index is never used twice (a repeated
 * GCM nonce gives the key away). `key` may be wiped after. Returns NULL when libsrtp refuses. */
void *kb_srtp_context(const kb_srtp_table *table, kb_srtp_profile profile, const uint8_t *key, bool outbound);

#endif
