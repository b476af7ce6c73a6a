# The machine that the build runs on: a distribution with glibc. Fast and
# hardened rather than small.
CC := gcc
AR := gcc-ar
STRIP := strip
BOARD_CFLAGS := -O2 -fPIE -fstack-protector-strong -fstack-clash-protection -D_FORTIFY_SOURCE=2
BOARD_LDFLAGS := -pie -Wl,-z,relro,-z,now,-z,noexecstack
