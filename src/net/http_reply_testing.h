/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_NET_HTTP_REPLY_TESTING_H
#define IG_NET_HTTP_REPLY_TESTING_H

/* What tests say of the text of a reply. */

#include <stdio.h>
#include <string.h>

static inline void assert_status(const char *reply, int status)
{
    int got = 0;
    if (sscanf(reply, "HTTP/1.1 %d ", &got) != 1 || got != status)
        fail_msg("expected status %d, got: %.300s", status, reply);
}

static inline void assert_has(const char *reply, const char *text)
{
    if (!strstr(reply, text)) fail_msg("'%s' is not in: %.600s", text, reply);
}

static inline void assert_lacks(const char *reply, const char *text)
{
    if (strstr(reply, text)) fail_msg("'%s' is in: %.600s", text, reply);
}

static inline unsigned count_of(const char *reply, const char *text)
{
    unsigned count = 0;
    for (; (reply = strstr(reply, text)); reply++) count++;
    return count;
}

#endif
