/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_NET_ADDRESS_H
#define IG_NET_ADDRESS_H

/* Numeric addresses. Pure. */

#include <stdbool.h>

#include <netinet/in.h>
#include <sys/socket.h>

/* Whether an address is of the public internet, by IANA's special-purpose registries: not loopback,
 * private, link-local, shared, documentation, benchmarking, multicast or reserved. An IPv4 address
 * within an IPv6 one (mapped, 6to4, NAT64) counts as itself. Other families are not public. */
bool ig_address_is_public(const struct sockaddr *address);
/* "127.0.0.1", "::1"; "?" for other families. */
void ig_address_format(char out[INET6_ADDRSTRLEN], const struct sockaddr *address);

#endif
