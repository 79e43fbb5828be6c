#include "kb_opus_table.h"

#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

const char *kb_opus_table_load(kb_opus_table *table, void *handle)
{
    const struct {
        const char *name;
        size_t offset;
        int is_optional;
    } functions[] = {
        {"opus_get_version_string", offsetof(kb_opus_table, version), 0},
        {"opus_encoder_get_size", offsetof(kb_opus_table, encoder_bytes), 0},
        {"opus_encoder_init", offsetof(kb_opus_table, encoder_init), 0},
        {"opus_encoder_ctl", offsetof(kb_opus_table, encoder_ctl), 0},
        {"opus_encode_float", offsetof(kb_opus_table, encode), 0},
        {"opus_decoder_get_size", offsetof(kb_opus_table, decoder_bytes), 0},
        {"opus_decoder_init", offsetof(kb_opus_table, decoder_init), 0},
        {"opus_decoder_ctl", offsetof(kb_opus_table, decoder_ctl), 0},
        {"opus_decode_float", offsetof(kb_opus_table, decode), 0},
        {"opus_packet_get_nb_samples", offsetof(kb_opus_table, packet_samples), 0},
        {"opus_packet_has_lbrr", offsetof(kb_opus_table, packet_has_fec), 1},
    };
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        void *function = dlsym(handle, functions[i].name);
        if (!function && !functions[i].is_optional)
            return functions[i].name;
        memcpy((char *)table + functions[i].offset, &function, sizeof function);
    }
    return NULL;
}

int kb_opus_voice_init(const kb_opus_table *table, void *state, const kb_opus_voice *voice)
{
    const int status = table->encoder_init(state, KB_OPUS_RATE, 1, KB_OPUS_APPLICATION_VOIP);
    if (status)
        return status;
    const int settings[][2] = {
        {KB_OPUS_SET_BITRATE, voice->bitrate_bps},
        {KB_OPUS_SET_COMPLEXITY, voice->complexity},
        {KB_OPUS_SET_BANDWIDTH, KB_OPUS_BANDWIDTH_FULLBAND},
        {KB_OPUS_SET_VBR, 1},
        {KB_OPUS_SET_VBR_CONSTRAINT, 1},
        {KB_OPUS_SET_INBAND_FEC, 1},
        {KB_OPUS_SET_PACKET_LOSS_PERC, voice->loss_percent},
        {KB_OPUS_SET_DTX, 0},
    };
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        const int refused = table->encoder_ctl(state, settings[i][0], settings[i][1]);
        if (refused)
            return refused;
    }
    return 0;
}
