# SPDX-License-Identifier: GPL-3.0-or-later
"""The harness of the front-end tests.

sandbox   a private directory, and an end to everything that lives in it
daemon    dirdisk, started, watched and ended
sources   host trees to show
trees     what a tree looks like to the one who walks it
judges    programs of others that say whether a disk is right
run       the program that runs a test file
fixtures  what pytest gives the tests
held      a handle on disk.img that is held while the tree changes
machine   QEMU and its serial line
runs      dirdisk-run, and a QEMU that does as the test says
guest     a kernel and an initramfs that say when they are up
"""
