#include "docker-volume/pour.h"

#include "common/failure.h"

int32_t pour_volume(struct restoring *r, const char *name, const struct volume *volume, size_t at,
                    const struct cofre_entry **entry)
{
    (void)name, (void)at, (void)entry;
    return failure_set(r->error, COFRE_E_UNSUPPORTED, "restore volume '%s': not there yet", volume->name);
}

int32_t pour_into(struct restoring *r, const char *name, const struct volume *volume, const struct cofre_entry **entry)
{
    (void)name, (void)entry;
    return failure_set(r->error, COFRE_E_UNSUPPORTED, "restore volume '%s': not there yet", volume->name);
}
