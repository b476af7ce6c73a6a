# Routers with a little-endian 32-bit MIPS (MediaTek MT7620, MT7621, MT7628):
# one static binary with musl, small rather than fast. The compiler is the
# distribution's cross gcc with the distribution's musl; `tools/deps mipsel`
# installs both. Instruction set: MIPS32 release 2. These processors have no
# floating-point unit, and Debian's musl counts on one; snprintf.c and assert.c
# here replace the only parts of it that we would use.
CC := $(call tool,tools/musl-cross mipsel)
AR := mipsel-linux-gnu-gcc-ar
STRIP := mipsel-linux-gnu-strip
BOARD_CFLAGS := -Os -flto=auto -fstack-protector-strong
BOARD_LDFLAGS := -static -flto=auto -Os -Wl,-z,relro,-z,now,-z,noexecstack
# What runs its binaries on the build machine (tests/system).
EMULATOR := qemu-mipsel -cpu 24Kc
