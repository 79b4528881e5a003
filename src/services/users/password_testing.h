/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_USERS_PASSWORD_TESTING_H
#define IG_SERVICES_USERS_PASSWORD_TESTING_H

/* For tests of what stands on passwords: scrypt with so few rounds (a power of two above 1) for the
 * process. Before its first thread. */
void ig_password_set_cost(unsigned rounds);

#endif
