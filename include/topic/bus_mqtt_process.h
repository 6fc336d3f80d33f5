/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bus_mqtt_process -- what Paho does to the process and has no call for: found under /proc, and left as it
 * is where that is not there.
 *
 * Thread:    any.
 */
#ifndef CULVERT_TOPIC_BUS_MQTT_PROCESS_H
#define CULVERT_TOPIC_BUS_MQTT_PROCESS_H

/*
 * TCP_NODELAY on all connections to that port. Paho leaves it off: after each message that we acknowledge
 * the next publication would wait until the broker's kernel has acknowledged that, 40 ms.
 */
void bus_mqtt_process_hurry(unsigned port);

/*
 * Waits until Paho has no thread any more, or a moment if another bus keeps them. They say that they have
 * stopped a little before they end; if the process ends in between, they give back what they have of
 * OpenSSL after OpenSSL itself has gone.
 */
void bus_mqtt_process_await_threads(void);

#endif
