#include "kb_srtp_table.h"

#include <dlfcn.h>
#include <limits.h>
#include <string.h>

#define WINDOW_PACKETS 1024ul

/* POSIX gives functions and data one pointer size; memcpy says so without a cast that -Wpedantic refuses. */
static int resolve(void *handle, const char *name, void *slot, const char **missing)
{
    void *symbol = dlsym(handle, name);
    if (!symbol) {
        *missing = name;
        return -1;
    }
    memcpy(slot, &symbol, sizeof symbol);
    return 0;
}

int kb_crypto_resolve(kb_crypto *crypto, void *handle, const char **missing)
{
    if (resolve(handle, "HMAC", &crypto->hmac, missing) || resolve(handle, "EVP_sha1", &crypto->sha1, missing) ||
        resolve(handle, "CRYPTO_memcmp", &crypto->compare, missing) ||
        resolve(handle, "OPENSSL_cleanse", &crypto->cleanse, missing))
        return -1;
    crypto->digest = crypto->sha1();
    return 0;
}

bool kb_crypto_hmac_sha1(const kb_crypto *crypto, const uint8_t *key, size_t key_bytes, const uint8_t *data,
                         size_t data_bytes, uint8_t *out)
{
    unsigned int written = 0;
    if (key_bytes > INT_MAX)
        return false;
    return crypto->hmac(crypto->digest, key, (int)key_bytes, data, data_bytes, out, &written) && written == 20;
}

int kb_srtp_resolve(kb_srtp_table *table, void *handle, const char **missing)
{
    if (resolve(handle, "srtp_create", &table->create, missing) ||
        resolve(handle, "srtp_dealloc", &table->dealloc, missing) ||
        resolve(handle, "srtp_protect", &table->protect, missing) ||
        resolve(handle, "srtp_unprotect", &table->unprotect, missing) ||
        resolve(handle, "srtp_protect_rtcp", &table->protect_rtcp, missing) ||
        resolve(handle, "srtp_unprotect_rtcp", &table->unprotect_rtcp, missing) ||
        resolve(handle, "srtp_remove_stream", &table->remove_stream, missing) ||
        resolve(handle, "srtp_crypto_policy_set_rtp_default", &table->set_cm_sha1_80, missing) ||
        resolve(handle, "srtp_crypto_policy_set_aes_gcm_128_16_auth", &table->set_gcm_128, missing))
        return -1;
    return 0;
}

size_t kb_srtp_key_bytes(kb_srtp_profile profile)
{
    switch (profile) {
    case KB_SRTP_AES_128_CM_SHA1_80:
        return 16 + 14;
    case KB_SRTP_AEAD_AES_128_GCM:
        return 16 + 12;
    }
    return 0;
}

size_t kb_srtp_tag_bytes(kb_srtp_profile profile)
{
    return profile == KB_SRTP_AEAD_AES_128_GCM ? 16 : 10;
}

void *kb_srtp_context(const kb_srtp_table *table, kb_srtp_profile profile, const uint8_t *key, bool outbound)
{
    uint8_t copy[32];
    kb_srtp_policy policy;
    memset(&policy, 0, sizeof policy);
    policy.ssrc_type = outbound ? 3 : 2; /* ssrc_any_outbound, ssrc_any_inbound */
    void (*set)(kb_srtp_crypto_policy *) =
        profile == KB_SRTP_AEAD_AES_128_GCM ? table->set_gcm_128 : table->set_cm_sha1_80;
    set(&policy.rtp);
    set(&policy.rtcp);
    memcpy(copy, key, kb_srtp_key_bytes(profile));
    policy.key = copy;
    policy.window_size = WINDOW_PACKETS;
    policy.allow_repeat_tx = 0;
    void *context = NULL;
    int status = table->create(&context, &policy);
    explicit_bzero(copy, sizeof copy);
    return status == KB_SRTP_OK ? context : NULL;
}
