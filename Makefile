# Cubby. GNU make, one file, no generator.
#
#   make                     build/cubbyd and build/cubby for this machine
#   make BOARD=NAME          the same for board/NAME, in build/NAME/
#   make run                 set up everything, serve a demo mailbox on loopback
#   make check               set up everything, build, run lint and all tests
#   make test                unit tests only (FILTER=word: those whose name has it)
#   make sim                 simulation tests only (SEEDS=N: N seeds; SEED=x: that one again)
#   make year                a simulated year of a household (DAYS=365)
#   make soak                seeded simulations for a given time (SOAK=10m)
#   make long                100,000 connects, and the simulations with more fates of each cut
#   make lint                layers, format, function length and so on
#   make format, make tidy   clang-format over our files; clang-tidy
#   make bench, make sizes   speed and wear; bytes of code by layer
#   make board-wear          flash programmed on an emulated router, by message
#   make install             to $(DESTDIR)$(PREFIX)
#   make clean
#
# Settings, as NAME=value behind make:
#   BOARD=host       a folder of board/
#   MBEDTLS_SRC=DIR  unpacked source of mbedTLS 3.6 (default: tools/mbedtls gets it)
#   MBEDTLS=system   link the system's or the SDK's own mbedTLS 3.6
#   UTHASH=DIR       where uthash.h is (default: /usr/include)
#   CFLAGS, LDFLAGS  come behind ours; WERROR= lets warnings pass
#   SANITIZE=        unit and simulation tests without sanitizers (faster)
#   V=1              print the commands

BOARD := host
PREFIX := /usr/local
UTHASH := /usr/include
WERROR := -Werror
SANITIZE := address,undefined
CFLAGS :=
LDFLAGS :=

MAKEFLAGS += --no-builtin-rules --no-builtin-variables
.SUFFIXES:
.DELETE_ON_ERROR:
Q := $(if $(V),,@)
say = @printf '  %-7s %s\n' '$(1)' '$(2)'

# Output of a tool that is run while make reads this file; make stops when the
# tool fails (the tool has said why).
tool = $(shell $(1))$(if $(filter 0,$(.SHELLSTATUS)),,$(error $(1) failed))

# These goals only call scripts or make again: nothing may be fetched or asked
# of a compiler before their set-up has run.
early := check run clean help lint format board-wear
late := $(filter-out $(early),$(or $(MAKECMDGOALS),all))

.PHONY: all check run test sim soak year long lint format tidy bench sizes install clean help test-programs \
	bench-programs board-wear
all:

help:
	@sed -n '3,27s/^# \{0,1\}//p' Makefile

# ---------------------------------------------------------------- set-up first

check:
	$(Q)tools/deps check
	$(Q)$(MAKE) --no-print-directory -j2 all test-programs
	$(Q)$(MAKE) --no-print-directory -j2 BOARD=mipsel
	$(Q)tests/run-check

run:
	$(Q)tools/deps run
	$(Q)$(MAKE) --no-print-directory -j2 all
	$(Q)tools/demo

board-wear:
	$(Q)tools/deps lab
	$(Q)$(MAKE) --no-print-directory -j2 BOARD=mipsel bench-programs
	$(Q)tests/run-board-wear

lint:
	$(Q)tools/lint

format:
	$(Q)tools/format

clean:
	rm -rf build

ifneq ($(late),)

# ---------------------------------------------------------------- board, flags

ifeq ($(wildcard board/$(BOARD)/board.mk),)
$(error There is no board/$(BOARD)/board.mk; there are: $(patsubst board/%/board.mk,%,$(wildcard board/*/board.mk)))
endif
ifneq ($(BOARD),host)
ifneq ($(filter test sim test-programs,$(late)),)
$(error The tests are built for this machine: leave out BOARD=$(BOARD))
endif
endif
include board/$(BOARD)/board.mk

B := build$(if $(filter-out host,$(BOARD)),/$(BOARD))
# The tests' own build of the library, with the simulated port beside the real one.
T := build/$(if $(SANITIZE),asan,plain)

includes := -Isrc -I. -isystem build/include
warnings := -Wall -Wextra -Wshadow -Wconversion -Wundef -Wvla -Wformat=2 -Wstrict-prototypes -Wmissing-prototypes
standard := -std=c11
common = $(standard) -g -ffunction-sections -fdata-sections -ffile-prefix-map=$(CURDIR)=.
cubby_flags = $(includes) $(mbedtls_includes) $(warnings) $(WERROR)
board_flags = $(common) $(BOARD_CFLAGS)
sanitize := $(if $(SANITIZE),-O1 -fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer,-O2)
test_flags = $(common) $(sanitize) -DCUBBY_TLS_CLIENT -DCUBBY_PLANTS -Wno-maybe-uninitialized
link_flags := -Wl,--gc-sections

# --------------------------------------------------------------------- mbedTLS

mbedtls_config := -DMBEDTLS_CONFIG_FILE='"port/mbedtls_config.h"'
ifeq ($(MBEDTLS),system)
$(call tool,tools/mbedtls system $(CC) $(CFLAGS))
mbedtls_includes := -DCUBBY_SYSTEM_MBEDTLS
mbedtls_lib := -lmbedtls -lmbedx509 -lmbedcrypto
else
ifdef MBEDTLS_SRC
$(call tool,tools/mbedtls check $(MBEDTLS_SRC))
mbedtls_dir := $(MBEDTLS_SRC)
else
mbedtls_dir := $(call tool,tools/mbedtls)
endif
mbedtls_includes := -isystem $(mbedtls_dir)/include $(mbedtls_config)
mbedtls_lib := $(B)/libmbedtls.a
mbedtls_test_lib := $(T)/libmbedtls.a
endif
mbedtls_c := $(if $(mbedtls_dir),$(notdir $(wildcard $(mbedtls_dir)/library/*.c)))

# --------------------------------------------------------------------- sources

layers_c := $(wildcard src/*/*.c)
posix_c := $(wildcard port/posix/*.c)
sim_c := $(wildcard port/sim/*.c)
port_c := $(filter-out $(if $(filter system,$(MBEDTLS)),port/mbedtls_clock.c),$(wildcard port/*.c))
board_c := $(wildcard board/$(BOARD)/*.c)
cubbyd_c := $(wildcard src/*.c)
cubby_c := $(wildcard tools/cubby.c tools/cubby_*.c)
unit_c := $(wildcard tests/unit/test_*.c)
unit_help_c := $(filter-out $(unit_c),$(wildcard tests/unit/*.c))
simtest_c := $(wildcard tests/sim/sim_*.c)
simtest_help_c := $(filter-out $(simtest_c),$(wildcard tests/sim/*.c))
systest_c := $(filter-out tests/system/trap_malloc.c,$(wildcard tests/system/*.c))
bench_c := $(wildcard tests/bench/*.c)

objects = $(patsubst %.c,$(1)/obj/%.o,$(2))

# -------------------------------------------------------------------- programs

programs := $(if $(wildcard src/cubbyd.c),$(B)/cubbyd) $(if $(cubby_c),$(B)/cubby)
trap := $(if $(wildcard src/cubbyd.c),build/test/cubbyd)
units := $(patsubst tests/unit/%.c,build/unit/%,$(unit_c))
simtests := $(patsubst tests/sim/%.c,build/sim/%,$(simtest_c))
benches := $(patsubst tests/bench/%.c,$(B)/bench/%,$(bench_c))
systests := $(patsubst tests/system/%.c,build/test/%,$(systest_c))

all: $(or $(strip $(programs)),$(B)/libcubby.a $(filter %.a,$(mbedtls_lib)))
bench-programs: $(benches)
test-programs: $(trap) $(units) $(simtests) $(systests) $(B)/bench/bigstore

# A group, because the libraries need each other: mbedTLS asks us for time and entropy.
libraries = -Wl,--start-group $(filter %.a,$^) $(filter -l%,$(mbedtls_lib)) -Wl,--end-group
link = $(Q)$(CC) $(1) $(CFLAGS) $(link_flags) -o $@ $(filter %.o,$^) $(libraries) $(LDFLAGS)
link_board = $(call link,$(BOARD_CFLAGS) $(BOARD_LDFLAGS))
link_test = $(call link,$(test_flags))

$(B)/cubbyd: $(call objects,$(B),$(cubbyd_c) $(board_c))
$(B)/cubby: $(call objects,$(B),$(cubby_c) $(filter-out src/cubbyd.c,$(cubbyd_c)) $(board_c))
$(B)/cubbyd $(B)/cubby: $(B)/libcubby.a $(filter %.a,$(mbedtls_lib)) $(B)/flags
	$(call say,LINK,$@)
	$(link_board)

# The server that dies at the first use of the heap after its start.
build/test/cubbyd: $(call objects,$(B),$(cubbyd_c) tests/system/trap_malloc.c)
build/test/cubbyd $(systests): $(B)/libcubby.a $(filter %.a,$(mbedtls_lib)) $(B)/flags
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(call link,$(BOARD_CFLAGS) $(BOARD_LDFLAGS) -rdynamic)
$(systests): build/test/%: $(B)/obj/tests/system/%.o

# What the benchmarks run: for this machine, and for the emulated router.
$(benches): $(B)/bench/%: $(B)/obj/tests/bench/%.o $(call objects,$(B),$(board_c)) \
		$(B)/libcubby.a $(filter %.a,$(mbedtls_lib)) $(B)/flags
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(link_board)

# Unit tests run on the simulated port; those of the real one are test_posix_*.
posix_units := $(filter build/unit/test_posix_%,$(units))
$(units): build/unit/%: $(T)/obj/tests/unit/%.o $(if $(unit_help_c),$(T)/libunit.a)
$(posix_units): $(T)/libposix.a
$(filter-out $(posix_units),$(units)) $(simtests): $(T)/libsim.a
$(simtests): build/sim/%: $(T)/obj/tests/sim/%.o $(call objects,$(T),$(simtest_help_c))
$(units) $(simtests): $(T)/libcubby.a $(mbedtls_test_lib) $(T)/flags
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(link_test)

# ------------------------------------------------------------------- libraries

$(B)/libcubby.a: $(call objects,$(B),$(layers_c) $(port_c) $(posix_c))
$(T)/libcubby.a: $(call objects,$(T),$(layers_c) $(port_c) $(filter-out src/cubbyd.c,$(cubbyd_c)))
$(T)/libunit.a: $(call objects,$(T),$(unit_help_c))
$(T)/libsim.a: $(call objects,$(T),$(sim_c))
$(T)/libposix.a: $(call objects,$(T),$(posix_c))
$(B)/libmbedtls.a: $(patsubst %.c,$(B)/mbedtls/%.o,$(mbedtls_c))
$(T)/libmbedtls.a: $(patsubst %.c,$(T)/mbedtls/%.o,$(mbedtls_c))
build/%.a:
	$(call say,AR,$@)
	@mkdir -p $(@D) && rm -f $@
	$(Q)$(AR) rcs $@ $^

# --------------------------------------------------------------------- objects

# A file beside the objects holds the flags: when they change, all is compiled anew.
flag_file = @mkdir -p $(@D); f='$(subst ','\'',$(1))'; [ "$$f" = "$$(cat $@ 2>/dev/null)" ] || echo "$$f" >$@
.PHONY: FORCE
$(B)/flags: FORCE
	$(call flag_file,$(CC) $(cubby_flags) $(board_flags) $(CFLAGS) $(BOARD_LDFLAGS) $(LDFLAGS))
ifneq ($(B),$(T))
$(T)/flags: FORCE
	$(call flag_file,$(CC) $(cubby_flags) $(test_flags) $(CFLAGS) $(LDFLAGS))
endif
$(B)/mbedtls/flags $(T)/mbedtls/flags: FORCE
	$(call flag_file,$(CC) $(board_flags) $(CFLAGS) $(mbedtls_dir))

compile = $(Q)$(CC) $(1) -MMD -MP -c -o $@ $<

$(B)/obj/%.o: %.c $(B)/flags | build/include/uthash.h
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(call compile,$(cubby_flags) $(board_flags) $(CFLAGS))

$(T)/obj/%.o: %.c $(T)/flags | build/include/uthash.h
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(call compile,$(cubby_flags) $(test_flags) $(CFLAGS))

# Tests may convert numbers as they like, and use all of libc.
$(T)/obj/tests/%.o $(B)/obj/tests/%.o: warnings := -Wall -Wextra
$(T)/obj/tests/%.o $(B)/obj/tests/%.o: standard := -std=gnu11

# No true clock is before the build: a release's date, else the last commit's, else what the file says.
build_time := $(or $(SOURCE_DATE_EPOCH),$(shell git log -1 --format=%ct 2>/dev/null))
$(B)/obj/src/control/cert.o $(T)/obj/src/control/cert.o: private CFLAGS += $(build_time:%=-DCUBBY_BUILD_TIME=%)

# A board's own files take the place of parts of libc. The compiler must not know them for what they are.
$(call objects,$(B),$(board_c)): BOARD_CFLAGS += -fno-lto -fno-builtin

# mbedTLS has its own style: its warnings are not ours.
$(B)/mbedtls/%.o: $(mbedtls_dir)/library/%.c port/mbedtls_config.h $(B)/mbedtls/flags
	$(call say,MBEDTLS,$@)
	$(call compile,-I. $(mbedtls_includes) $(board_flags) $(CFLAGS))

$(T)/mbedtls/%.o: $(mbedtls_dir)/library/%.c port/mbedtls_config.h $(T)/mbedtls/flags
	$(call say,MBEDTLS,$@)
	$(call compile,-I. $(mbedtls_includes) $(common) -O1 -DCUBBY_TLS_CLIENT $(CFLAGS))

# A folder of its own, so that a cross compiler sees uthash.h and nothing else of /usr/include.
build/include/uthash.h:
	@mkdir -p $(@D)
	$(Q)cp $(UTHASH)/uthash.h $@ || { echo "run tools/deps build, or set UTHASH=DIR" >&2; exit 1; }

-include $(patsubst %.o,%.d,$(call objects,$(B),$(layers_c) $(port_c) $(posix_c) $(cubbyd_c) $(cubby_c) \
	$(board_c) tests/system/trap_malloc.c $(systest_c) $(bench_c)))
-include $(patsubst %.o,%.d,$(call objects,$(T),$(layers_c) $(port_c) $(posix_c) $(sim_c) $(cubbyd_c) \
	$(unit_c) $(unit_help_c) $(simtest_c) $(simtest_help_c)))

# ----------------------------------------------------------------------- tests

test: $(units)
	$(Q)tests/run-unit $(FILTER)

sim: $(simtests)
	$(Q)tests/run-sim

soak: $(simtests)
	$(Q)tests/run-soak

# A whole year of a household, with a clock and without.
year: build/sim/sim_year
	$(Q)DAYS=$(or $(DAYS),365) build/sim/sim_year

# What make check has no time for; CI runs it as well.
long: all $(trap) $(simtests)
	$(Q)tests/run-long

tidy: build/include/uthash.h
	$(Q)tools/deps tidy
	$(Q)clang-tidy --quiet $(layers_c) $(port_c) $(posix_c) $(sim_c) $(cubbyd_c) $(cubby_c) -- \
		$(includes) $(mbedtls_includes) -std=c11

bench: all $(benches)
	$(Q)tests/run-bench $(SIZES)

sizes: all
	$(Q)tools/sizes $(B) $(STRIP)

install: all
	install -d $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(PREFIX)/bin
	install -s --strip-program=$(STRIP) -m 755 $(B)/cubbyd $(DESTDIR)$(PREFIX)/sbin/cubbyd
	install -s --strip-program=$(STRIP) -m 755 $(B)/cubby $(DESTDIR)$(PREFIX)/bin/cubby

endif
