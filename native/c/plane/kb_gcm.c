#define _GNU_SOURCE
#include "kb_gcm.h"
#include "kb_bytes.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#define GET_TAG 0x10 /* EVP_CTRL_AEAD_GET_TAG */
/* RFC 3711 §4.3.1 */
#define LABEL_KEY 0x00
#define LABEL_SALT 0x02
#define INDICES ((int64_t)1 << 48)

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

int kb_gcm_resolve(kb_gcm_table *table, void *handle, const char **missing)
{
    const void *(*gcm)(void), *(*ctr)(void);
    if (resolve(handle, "EVP_CIPHER_CTX_new", &table->context_new, missing) ||
        resolve(handle, "EVP_CIPHER_CTX_free", &table->context_free, missing) ||
        resolve(handle, "EVP_EncryptInit_ex", &table->init, missing) ||
        resolve(handle, "EVP_EncryptUpdate", &table->update, missing) ||
        resolve(handle, "EVP_EncryptFinal_ex", &table->final, missing) ||
        resolve(handle, "EVP_CIPHER_CTX_ctrl", &table->control, missing) ||
        resolve(handle, "EVP_aes_128_gcm", &gcm, missing) || resolve(handle, "EVP_aes_128_ctr", &ctr, missing))
        return -1;
    table->gcm = gcm();
    table->ctr = ctr();
    return 0;
}

/* AES in counter mode over zeros, from the label and the salt on: RFC 3711 §4.3.3; the salt of 96 bits is followed by
 * zeros (RFC 7714 §11). */
static bool derive(const kb_gcm_table *table, const uint8_t *master, uint8_t label, uint8_t *out, int bytes)
{
    uint8_t counter[16] = {0}, zeros[16] = {0};
    memcpy(counter, master + 16, 12);
    counter[7] ^= label;
    int written = 0;
    void *context = table->context_new();
    bool done = context && table->init(context, table->ctr, NULL, master, counter) == 1 &&
                table->update(context, out, &written, zeros, bytes) == 1 && written == bytes;
    if (context)
        table->context_free(context);
    return done;
}

kb_gcm *kb_gcm_new(const kb_gcm_table *table, const uint8_t master[KB_GCM_MASTER_BYTES])
{
    uint8_t key[16];
    kb_gcm *gcm = malloc(sizeof *gcm);
    if (!gcm)
        return NULL;
    *gcm = (kb_gcm){.table = table, .context = table->context_new()};
    bool made = gcm->context && derive(table, master, LABEL_KEY, key, sizeof key) &&
                derive(table, master, LABEL_SALT, gcm->salt, sizeof gcm->salt) &&
                table->init(gcm->context, table->gcm, NULL, key, NULL) == 1;
    explicit_bzero(key, sizeof key);
    if (made)
        return gcm;
    kb_gcm_free(gcm);
    return NULL;
}

void kb_gcm_free(kb_gcm *gcm)
{
    if (!gcm)
        return;
    if (gcm->context)
        gcm->table->context_free(gcm->context); /* OpenSSL wipes the key */
    explicit_bzero(gcm, sizeof *gcm);
    free(gcm);
}

static bool mark(kb_gcm_index *index, uint64_t at)
{
    uint64_t *word = &index->used[at % KB_GCM_WINDOW / 64], bit = (uint64_t)1 << at % 64;
    if (*word & bit)
        return false;
    *word |= bit;
    return true;
}

int64_t kb_gcm_take(kb_gcm_index *index, uint16_t sequence)
{
    if (!index->started) {
        index->started = true;
        index->highest = sequence;
        mark(index, sequence);
        return sequence;
    }
    int16_t ahead = (int16_t)(sequence - (uint16_t)index->highest);
    int64_t at = (int64_t)index->highest + ahead;
    if (at < 0 || at >= INDICES || ahead <= -(int)KB_GCM_WINDOW)
        return -1;
    if (ahead > 0) {
        uint64_t from = index->highest + 1;
        if (ahead >= (int)KB_GCM_WINDOW)
            memset(index->used, 0, sizeof index->used);
        else
            for (; from <= (uint64_t)at; from++)
                index->used[from % KB_GCM_WINDOW / 64] &= ~((uint64_t)1 << from % 64);
        index->highest = (uint64_t)at;
    }
    return mark(index, (uint64_t)at) ? at : -1;
}

bool kb_gcm_protect(kb_gcm *gcm, kb_gcm_index *index, uint8_t *packet, size_t header_bytes, int *bytes)
{
    const kb_gcm_table *table = gcm->table;
    int64_t at = kb_gcm_take(index, kb_get16(packet + 2));
    if (at < 0)
        return false;
    /* RFC 7714 §8.1: two zero bytes, SSRC, roll-over counter, sequence number, all xor the salt. */
    uint8_t iv[12] = {0};
    memcpy(iv + 2, packet + 8, 4);
    kb_put32(iv + 6, (uint32_t)(at >> 16));
    kb_put16(iv + 10, (uint16_t)at);
    for (size_t i = 0; i < sizeof iv; i++)
        iv[i] ^= gcm->salt[i];
    int written, header = (int)header_bytes, payload = *bytes - header;
    uint8_t *tag = packet + *bytes;
    if (table->init(gcm->context, NULL, NULL, NULL, iv) != 1 ||
        table->update(gcm->context, NULL, &written, packet, header) != 1 ||
        table->update(gcm->context, packet + header, &written, packet + header, payload) != 1 || written != payload ||
        table->final(gcm->context, tag, &written) != 1 ||
        table->control(gcm->context, GET_TAG, KB_GCM_TAG_BYTES, tag) != 1)
        return false;
    *bytes += KB_GCM_TAG_BYTES;
    return true;
}
