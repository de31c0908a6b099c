#include "docker-volume/halt.h"
