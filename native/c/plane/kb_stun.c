#include "kb_stun.h"

#include "kb_bytes.h"

#include <string.h>

#define COOKIE 0x2112a442u
#define HEADER_BYTES 20u
#define INTEGRITY_BYTES 24u
#define FINGERPRINT_BYTES 8u
#define FINGERPRINT_XOR 0x5354554eu

enum attribute {
    MAPPED_ADDRESS = 0x0001,
    USERNAME = 0x0006,
    MESSAGE_INTEGRITY = 0x0008,
    ERROR_CODE = 0x0009,
    UNKNOWN_ATTRIBUTES = 0x000a,
    REALM = 0x0014,
    NONCE = 0x0015,
    MESSAGE_INTEGRITY_SHA256 = 0x001c,
    XOR_MAPPED_ADDRESS = 0x0020,
    PRIORITY = 0x0024,
    USE_CANDIDATE = 0x0025,
    FINGERPRINT = 0x8028,
    ICE_CONTROLLED = 0x8029,
};

/* CRC-32 of ISO 3309 (RFC 8489 §14.7), a nibble at a time: messages are ~100 bytes and few. */
static uint32_t crc32(const uint8_t *data, size_t size)
{
    static const uint32_t table[16] = {
        0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
        0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
    };
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < size; i++) {
        crc = table[(crc ^ data[i]) & 15u] ^ (crc >> 4);
        crc = table[(crc ^ (data[i] >> 4)) & 15u] ^ (crc >> 4);
    }
    return ~crc;
}

static void note_unknown(kb_stun_message *out, uint16_t type)
{
    switch (type) {
    case MAPPED_ADDRESS:
    case ERROR_CODE:
    case UNKNOWN_ATTRIBUTES:
    case REALM:
    case NONCE:
    case MESSAGE_INTEGRITY_SHA256:
    case XOR_MAPPED_ADDRESS:
    case PRIORITY:
        return;
    default:
        if (type < 0x8000 && out->unknown_count < KB_STUN_MAX_UNKNOWN)
            out->unknown[out->unknown_count++] = type;
    }
}

int kb_stun_parse(const uint8_t *data, size_t size, kb_stun_message *out)
{
    memset(out, 0, sizeof *out);
    if (size < HEADER_BYTES || size > 0xffff || data[0] > 3 || kb_get32(data + 4) != COOKIE)
        return KB_STUN_MALFORMED;
    size_t length = kb_get16(data + 2);
    if (length % 4 != 0 || length + HEADER_BYTES != size)
        return KB_STUN_MALFORMED;
    out->type = kb_get16(data);
    out->transaction = data + 8;
    size_t at = HEADER_BYTES;
    while (at < size) {
        if (size - at < 4)
            return KB_STUN_MALFORMED;
        uint16_t type = kb_get16(data + at);
        size_t bytes = kb_get16(data + at + 2);
        const uint8_t *value = data + at + 4;
        if (bytes > size - at - 4)
            return KB_STUN_MALFORMED;
        size_t padded = (bytes + 3) & ~(size_t)3;
        if (padded > size - at - 4)
            return KB_STUN_MALFORMED;
        if (type == FINGERPRINT) {
            /* It must be the last attribute: what follows it is not covered. */
            if (bytes != 4 || at + FINGERPRINT_BYTES != size)
                return KB_STUN_MALFORMED;
            if ((crc32(data, at) ^ FINGERPRINT_XOR) != kb_get32(value))
                return KB_STUN_BAD_FINGERPRINT;
        } else if (out->integrity_at == 0) {
            switch (type) {
            case MESSAGE_INTEGRITY:
                if (bytes != 20)
                    return KB_STUN_MALFORMED;
                out->integrity_at = (uint16_t)at;
                break;
            case USERNAME:
                if (bytes > 513) /* RFC 8489 §14.3: fewer than 509, ICE allows 256 + 1 + 256 */
                    return KB_STUN_MALFORMED;
                out->username = value;
                out->username_bytes = (uint16_t)bytes;
                break;
            case USE_CANDIDATE:
                out->use_candidate = true;
                break;
            case ICE_CONTROLLED:
                out->controlled = true;
                break;
            default:
                note_unknown(out, type);
            }
        }
        at += 4 + padded;
    }
    return 0;
}

bool kb_stun_verify(const kb_crypto *crypto, const uint8_t *data, const kb_stun_message *message,
                    const uint8_t *password, size_t password_bytes)
{
    size_t covered = message->integrity_at;
    uint8_t copy[1504];
    if (covered == 0 || covered > sizeof copy)
        return false;
    /* The signature covers the header with a length that ends at itself (RFC 8489 §14.5). */
    memcpy(copy, data, covered);
    kb_put16(copy + 2, (uint16_t)(covered + INTEGRITY_BYTES - HEADER_BYTES));
    uint8_t digest[20];
    if (!kb_crypto_hmac_sha1(crypto, password, password_bytes, copy, covered, digest))
        return false;
    return crypto->compare(digest, data + covered + 4, sizeof digest) == 0;
}

static size_t begin(uint8_t *out, uint16_t type, const kb_stun_message *request)
{
    kb_put16(out, type);
    kb_put16(out + 2, 0);
    kb_put32(out + 4, COOKIE);
    memcpy(out + 8, request->transaction, 12);
    return HEADER_BYTES;
}

static size_t finish(const kb_crypto *crypto, uint8_t *out, size_t at, const uint8_t *password,
                     size_t password_bytes)
{
    kb_put16(out + 2, (uint16_t)(at + INTEGRITY_BYTES - HEADER_BYTES));
    kb_put16(out + at, MESSAGE_INTEGRITY);
    kb_put16(out + at + 2, 20);
    if (!kb_crypto_hmac_sha1(crypto, password, password_bytes, out, at, out + at + 4))
        return 0;
    at += INTEGRITY_BYTES;
    kb_put16(out + 2, (uint16_t)(at + FINGERPRINT_BYTES - HEADER_BYTES));
    uint32_t crc = crc32(out, at) ^ FINGERPRINT_XOR;
    kb_put16(out + at, FINGERPRINT);
    kb_put16(out + at + 2, 4);
    kb_put32(out + at + 4, crc);
    return at + FINGERPRINT_BYTES;
}

static bool is_mapped_v4(const uint8_t *ip)
{
    static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};
    return memcmp(ip, prefix, sizeof prefix) == 0;
}

size_t kb_stun_success(const kb_crypto *crypto, uint8_t *out, const kb_stun_message *request,
                       const kb_address *mapped, const uint8_t *password, size_t password_bytes)
{
    size_t at = begin(out, 0x0101, request);
    bool v4 = is_mapped_v4(mapped->ip);
    size_t ip_bytes = v4 ? 4 : 16;
    kb_put16(out + at, XOR_MAPPED_ADDRESS);
    kb_put16(out + at + 2, (uint16_t)(4 + ip_bytes));
    out[at + 4] = 0;
    out[at + 5] = v4 ? 1 : 2;
    kb_put16(out + at + 6, (uint16_t)(mapped->port ^ (COOKIE >> 16)));
    /* XOR with the cookie and, for IPv6, the transaction after it: both stand at bytes 4…19 of the header. */
    for (size_t i = 0; i < ip_bytes; i++)
        out[at + 8 + i] = mapped->ip[16 - ip_bytes + i] ^ out[4 + i];
    return finish(crypto, out, at + 8 + ip_bytes, password, password_bytes);
}

size_t kb_stun_error(const kb_crypto *crypto, uint8_t *out, const kb_stun_message *request, int code,
                     const uint8_t *password, size_t password_bytes)
{
    size_t at = begin(out, 0x0111, request);
    kb_put16(out + at, ERROR_CODE);
    kb_put16(out + at + 2, 4);
    kb_put16(out + at + 4, 0);
    out[at + 6] = (uint8_t)(code / 100);
    out[at + 7] = (uint8_t)(code % 100);
    at += 8;
    if (code == 420) {
        size_t bytes = 2u * request->unknown_count;
        kb_put16(out + at, UNKNOWN_ATTRIBUTES);
        kb_put16(out + at + 2, (uint16_t)bytes);
        memset(out + at + 4, 0, (bytes + 3) & ~(size_t)3);
        for (size_t i = 0; i < request->unknown_count; i++)
            kb_put16(out + at + 4 + 2 * i, request->unknown[i]);
        at += 4 + ((bytes + 3) & ~(size_t)3);
    }
    return finish(crypto, out, at, password, password_bytes);
}

int kb_fuzz_stun(const uint8_t *data, size_t size)
{
    kb_stun_message message;
    int status = kb_stun_parse(data, size, &message);
    if (status == 0 && message.username) {
        /* Touch what was found, so that a sanitizer sees a pointer outside the data. */
        volatile uint8_t last = message.username_bytes ? message.username[message.username_bytes - 1] : 0;
        (void)last;
    }
    return status;
}
