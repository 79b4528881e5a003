/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_BASE_INT128_H
#define IG_BASE_INT128_H

/* 128-bit integers, an extension of both compilers. */

__extension__ typedef unsigned __int128 ig_u128;

#endif
