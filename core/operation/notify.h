/* Telling: what the records and the status say that somebody is to know (operation/events.h), to the notifiers of the
 * configuration.
 *
 * What a notifier knows already, and what it could not be told yet, is in STATE/notify/NAME, durable before anything is
 * told, and changed after each event that was: who is killed in between tells one event twice, and loses none.
 */
#ifndef COFRE_OPERATION_NOTIFY_H
#define COFRE_OPERATION_NOTIFY_H

#include <jansson.h>

struct config_instance;
struct config_job;
struct engine;
struct error;

/* Judge, tell, remember: for all notifiers. What cannot be told is told by the next call that can; it is a warning, and
 * changes nothing for whoever calls. After a cancellation nothing is told, only remembered. */
void notify_all(const struct engine *engine);

#define NOTIFY_START_EACH 3000 /* ms that the start of a run waits for a notifier, */
#define NOTIFY_START_ALL 6000  /* and for all of them */

/* The job begins: tell those of its notifiers that want to know, at once. record: as it is at the start, taken; NULL
 * counts as out of memory. Who cannot be told in that time is not told later; it is a warning. */
void notify_start(const struct engine *engine, const struct config_job *job, json_t *record);

/* Tell it an event named `test`, and remember nothing. */
int notify_test(const struct engine *engine, const struct config_instance *notifier, struct error *e);

#endif
