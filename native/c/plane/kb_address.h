/* A transport address as a value: IPv4 is kept v4-mapped, so that tables need no second shape for IPv6. */
#ifndef KB_ADDRESS_H
#define KB_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

typedef struct kb_address {
    uint8_t ip[16];
    uint16_t port; /* host order */
} kb_address;

static inline kb_address kb_address_from(const struct sockaddr_in *from)
{
    kb_address address = {.ip = {[10] = 0xff, [11] = 0xff}, .port = ntohs(from->sin_port)};
    memcpy(address.ip + 12, &from->sin_addr, 4);
    return address;
}

static inline void kb_address_to(const kb_address *address, struct sockaddr_in *to)
{
    memset(to, 0, sizeof *to);
    to->sin_family = AF_INET;
    to->sin_port = htons(address->port);
    memcpy(&to->sin_addr, address->ip + 12, 4);
}

static inline bool kb_address_same(const kb_address *a, const kb_address *b)
{
    return a->port == b->port && memcmp(a->ip, b->ip, sizeof a->ip) == 0;
}

#endif
