/* SPDX-License-Identifier: Apache-2.0 */
/* The machine that the tests run on. */
#include "firmware.h"

#include <stdio.h>
#include <stdlib.h>

void platform_put(const char *text)
{
    fputs(text, stdout);
}

void platform_exit(int status)
{
    exit(status);
}

uint32_t platform_ticks(void)
{
    return 0;
}
