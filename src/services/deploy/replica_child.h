/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_DEPLOY_REPLICA_CHILD_H
#define IG_SERVICES_DEPLOY_REPLICA_CHILD_H

/* A replica: the process that `ingot replica PARENT-PID` is. It has these descriptors:
 *   0  the socket to the server
 *   2  the server's log
 *   3  the data directory, of which it reads the blobs that SETUP names and backgrounds */

enum { IG_REPLICA_SOCKET_FD = 0, IG_REPLICA_LOG_FD = 2, IG_REPLICA_DIR_FD = 3 };

/* Serves until the server closes the socket; the exit status. */
int ig_replica_child(long parent_pid);

#endif
