// What a user may still upload: quota and largest file, before and inside the transaction that charges them.
// Must not keep counts of its own; the rows have them.
import { FileFlowError } from '../core/errors.ts'
import type { TransferGrant } from '../core/transfer.ts'
import type { Principal } from '../core/user.ts'
import type { Store } from '../store/store.ts'

export function createQuotas({ accounts }: Pick<Store, 'accounts'>) {
  return {
    used({ username }: Principal): { bytes: number; files: number } {
      const row = accounts.users.get(username)
      return { bytes: row?.used_bytes ?? 0, files: row?.used_files ?? 0 }
    },

    /** Inside the transaction that charges it: uploads side by side were each granted the same rest. @throws `quota.exceeded` */
    check({ username, quota }: Principal, bytes: number, files: number): void {
      const used = accounts.users.get(username)
      if (!used) return
      const over = (most: number | null, present: number, more: number): boolean => most !== null && more > 0 && present + more > most
      if (over(quota.bytes, used.used_bytes, bytes) || over(quota.files, used.used_files, files)) throw new FileFlowError('quota.exceeded')
    },

    /**
     * How large an upload that begins now may become.
     * @param held bytes on the disk that do not count yet
     * @param replaces length of the published file that goes when it succeeds, or null
     * @throws `quota.exceeded`
     */
    allowance(principal: Principal, held: number, replaces: number | null): Pick<TransferGrant, 'maxSize' | 'maxSizeCode'> {
      const { quota, limits: own } = principal
      const used = accounts.users.get(principal.username)
      if (replaces === null && quota.files !== null && (used?.used_files ?? 0) >= quota.files) throw new FileFlowError('quota.exceeded')
      const left = quota.bytes === null ? null : Math.max(0, quota.bytes - (used?.used_bytes ?? 0) - held + (replaces ?? 0))
      if (left !== null && left === 0) throw new FileFlowError('quota.exceeded')
      if (left !== null && (own.maxFileSize === null || left < own.maxFileSize)) return { maxSize: left, maxSizeCode: 'quota.exceeded' }
      return { maxSize: own.maxFileSize, maxSizeCode: 'file.too_large' }
    },
  }
}
