/* The impairment relay: one thread between UDP clients and a server, kb_impair between its sockets.
 *
 * Each client address gets a socket of its own toward the server, so that the server tells clients apart, and two
 * links (2n up, 2n + 1 down): clients do not share fate or bandwidth. IPv4. All functions may be called while it runs
 * (one mutex, never held while waiting), `start`, `stop` and `free` by one caller.
 */
#ifndef KB_RELAY_H
#define KB_RELAY_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "kb_impair.h"

#define KB_RELAY_UP 0 /* client to server */
#define KB_RELAY_DOWN 1
#define KB_RELAY_BUCKET_NS 20000
#define KB_RELAY_BUCKETS 5000 /* up to 100 ms; the last one holds everything later */

typedef struct kb_relay kb_relay;

typedef struct kb_relay_config {
    struct sockaddr_in server, listen; /* port 0 of listen: any */
    uint64_t seed;
    uint32_t clients; /* at most */
    uint32_t packets; /* on their way, both directions together */
} kb_relay_config;

typedef struct kb_relay_counters {
    kb_impair_counters impair;
    uint64_t refused;  /* sends that the kernel did not take */
    uint64_t overruns; /* dropped by the kernel before the relay read them: a run with any is void */
} kb_relay_counters;

/* NULL and errno when a socket cannot be had. */
kb_relay *kb_relay_new(const kb_relay_config *config);
void kb_relay_free(kb_relay *relay); /* ends the thread */
int kb_relay_start(kb_relay *relay); /* 0 or errno */
void kb_relay_stop(kb_relay *relay);

uint16_t kb_relay_port(const kb_relay *relay);
bool kb_relay_is_fifo(kb_relay *relay);
void kb_relay_set(kb_relay *relay, int direction, const kb_impair_settings *settings);
/* New sockets toward the server: it sees new source addresses. `client` -1: of all. 0 or errno. */
int kb_relay_rebind(kb_relay *relay, int client);
uint32_t kb_relay_clients(kb_relay *relay);
/* The client's own port (host order) and the one the server sees; false if there is no such client. */
bool kb_relay_ports(kb_relay *relay, uint32_t client, uint16_t *own, uint16_t *seen);
void kb_relay_read(kb_relay *relay, int direction, kb_relay_counters *out);
/* How late packets left: from the instant they were due, counted from the kernel's time of arrival. */
void kb_relay_lateness(kb_relay *relay, uint32_t out[KB_RELAY_BUCKETS]);

#endif
