/* A transport address as a value: IPv4 is kept v4-mapped, so that tables need no second shape for IPv6, and a TCP
 * connection is a number beside the address of its other end. */
#ifndef KB_ADDRESS_H
#define KB_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct kb_address {
    uint8_t ip[16];
    uint16_t port;   /* host order */
    uint16_t stream; /* 0 = UDP, else the number of a TCP connection */
} kb_address;

_Static_assert(sizeof(kb_address) == 20, "hashed and compared as octets");

typedef union kb_socket_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
} kb_socket_address;

static inline kb_address kb_address_from(const kb_socket_address *from)
{
    if (from->any.sa_family == AF_INET6) {
        kb_address address = {.port = ntohs(from->v6.sin6_port)};
        memcpy(address.ip, &from->v6.sin6_addr, 16);
        return address;
    }
    kb_address address = {.ip = {[10] = 0xff, [11] = 0xff}, .port = ntohs(from->v4.sin_port)};
    memcpy(address.ip + 12, &from->v4.sin_addr, 4);
    return address;
}

static inline bool kb_address_is_v4(const kb_address *address)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    return memcmp(address->ip, mapped, sizeof mapped) == 0;
}

/* Returns the size. */
static inline socklen_t kb_address_to(const kb_address *address, kb_socket_address *to)
{
    memset(to, 0, sizeof *to);
    if (kb_address_is_v4(address)) {
        to->v4.sin_family = AF_INET;
        to->v4.sin_port = htons(address->port);
        memcpy(&to->v4.sin_addr, address->ip + 12, 4);
        return sizeof to->v4;
    }
    to->v6.sin6_family = AF_INET6;
    to->v6.sin6_port = htons(address->port);
    memcpy(&to->v6.sin6_addr, address->ip, 16);
    return sizeof to->v6;
}

static inline bool kb_address_same(const kb_address *a, const kb_address *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

#endif
